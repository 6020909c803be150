/** Which cells of a 5 × 5 square are filled, alike on the left and right, and a hue in degrees. */
export interface Mark {
  hue: number
  cells: readonly (readonly [x: number, y: number])[]
}

/** A picture by which a person tells one digest from another. The last bytes: the first of a digest are in its text already. */
export function markOf(digest: Uint8Array): Mark {
  const from = (index: number): number => digest.at(-1 - index) ?? 0
  const cells: (readonly [number, number])[] = []
  for (let y = 0; y < 5; y++) {
    for (let x = 0; x < 3; x++) {
      if (from(y * 3 + x + 1) % 2 === 0) continue
      cells.push([x, y])
      if (x < 2) cells.push([4 - x, y])
    }
  }
  return { hue: Math.round((from(0) / 256) * 360), cells }
}
