// What a phone sees of a QR code that was printed with half blocks: reads those lines on stdin, as
// tests/support or a terminal has them, and writes the text in the code. Light is what is drawn.

import { readFileSync } from 'node:fs';
import jsQR from 'jsqr';

const SCALE = 4; // pixels to a module
const light = { '█': [255, 255], '▀': [255, 0], '▄': [0, 255], ' ': [0, 0] };
const rows = readFileSync(0, 'utf8').split('\n').filter(Boolean).flatMap((line) => {
  const halves = [...line].map((block) => light[block]);
  return [halves.map(([upper]) => upper), halves.map(([, lower]) => lower)];
});
const width = rows[0].length * SCALE;
const height = rows.length * SCALE;
const pixels = new Uint8ClampedArray(width * height * 4).fill(255);
for (let y = 0; y < height; y += 1) {
  for (let x = 0; x < width; x += 1) {
    const level = rows[Math.floor(y / SCALE)][Math.floor(x / SCALE)];
    pixels.fill(level, (y * width + x) * 4, (y * width + x) * 4 + 3);
  }
}
console.log((jsQR.default ?? jsQR)(pixels, width, height)?.data ?? 'no QR code');
