export const area = (w, h) => (w > 0 && h > 0 ? w * h : undefined);
export function unused() { return 'never seen in the bundle'; }
