// SPDX-License-Identifier: MIT
// Float work whose result depends on every rounding: matrices, n-body, mandelbrot.
#include <math.h>
#include <stdio.h>

enum { N = 64 };

static double a[N][N], b[N][N], c[N][N];

static double matrices(void)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            a[i][j] = (i * 31 + j) % 17 / 3.0;
            b[i][j] = (i + j * 13) % 11 / 7.0;
            c[i][j] = 0;
        }
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            for (int j = 0; j < N; j++)
                c[i][j] += a[i][k] * b[k][j];
    double trace = 0;
    for (int i = 0; i < N; i++)
        trace += c[i][i];
    return trace;
}

struct body {
    double x, y, vx, vy, mass;
};

static double bodies(void)
{
    struct body s[3] = {{0, 0, 0, 0, 1}, {1, 0, 0, 0.9, 0.01}, {-1.7, 0.3, 0.1, -0.7, 0.02}};
    for (int step = 0; step < 20000; step++) {
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 3; j++) {
                if (i == j)
                    continue;
                double dx = s[j].x - s[i].x, dy = s[j].y - s[i].y;
                double r2 = dx * dx + dy * dy + 1e-6, f = s[j].mass / (r2 * sqrt(r2));
                s[i].vx += dx * f * 0.001;
                s[i].vy += dy * f * 0.001;
            }
        }
        for (int i = 0; i < 3; i++) {
            s[i].x += s[i].vx * 0.001;
            s[i].y += s[i].vy * 0.001;
        }
    }
    return s[1].x + s[2].y * 2;
}

static int mandelbrot(void)
{
    int inside = 0;
    for (int py = 0; py < 60; py++) {
        for (int px = 0; px < 80; px++) {
            float cx = px / 30.0f - 2, cy = py / 30.0f - 1, x = 0, y = 0;
            int n = 0;
            while (n < 200 && x * x + y * y < 4) {
                float t = x * x - y * y + cx;
                y = 2 * x * y + cy;
                x = t;
                n++;
            }
            inside += n * (px ^ py);
        }
    }
    return inside;
}

int main(void)
{
    printf("%a\n%a\n%d\n", matrices(), bodies(), mandelbrot());
    return 0;
}
