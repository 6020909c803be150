import { ENCODER_WORDS } from '../../tooling/fixtures/src/index.ts'

/** Lengths in tokens, the two that the tokenizer adds included. */
export const LENGTHS = {
  '16': [16],
  '128': [128],
  mixed: [8, 128, 16, 64, 24, 96, 32, 12, 48, 20],
} as const satisfies Record<string, readonly number[]>

export type Lengths = keyof typeof LENGTHS

/** A word is a token, in the vocabulary of the fixture and in that of the embedded model. */
const wordAt = (index: number): string => ENCODER_WORDS[index % ENCODER_WORDS.length] ?? ''

/** So many words hold the text's own number: no two texts of one length are alike, up to 9^5 of them. */
const NUMBER_WORDS = 5

/** Texts of these lengths in turn. */
export function textsOf(lengths: readonly number[], count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const length = (lengths[index % lengths.length] ?? 16) - 2
    return Array.from({ length }, (_word, at) =>
      wordAt(at < NUMBER_WORDS ? Math.floor(index / ENCODER_WORDS.length ** at) : at * 7 + index),
    ).join(' ')
  })
}
