import { ENCODER_WORDS } from '../../tooling/fixtures/src/index.ts'

/** Lengths in tokens, the two that the tokenizer adds included. */
export const LENGTHS: Readonly<Record<string, readonly number[]>> = {
  '16': [16],
  '128': [128],
  mixed: [8, 128, 16, 64, 24, 96, 32, 12, 48, 20],
}

/** Texts of these lengths in turn, no two alike. */
export function textsOf(lengths: readonly number[], count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const length = (lengths[index % lengths.length] ?? 16) - 2
    const words = Array.from(
      { length },
      (_word, at) => ENCODER_WORDS[(at * 7 + index + Math.floor(index / 9) * at) % 9],
    )
    return words.join(' ')
  })
}
