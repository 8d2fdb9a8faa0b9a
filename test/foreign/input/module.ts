enum Colour { Red = 1, Green, Blue = Red << 4 }
interface Shape { readonly name: string; area?(): number }
abstract class Base<T extends Shape> implements Iterable<T> {
    protected constructor(private readonly items: T[] = []) {}
    *[Symbol.iterator]() { yield* this.items; }
    get total(): number { return this.items.reduce((sum, i) => sum + (i.area?.() ?? 0), 0); }
}
export class Shapes extends Base<Shape> {
    static of(...items: Shape[]) { return new Shapes(items); }
    async largest() { for await (const s of this) if ((s.area?.() ?? 0) > 10 ** 2) return s; }
}
export const text = `colours: ${Colour[Colour.Green]} ${Colour.Blue}`;
