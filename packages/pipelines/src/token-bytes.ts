import type { PreTrainedTokenizer } from '@huggingface/transformers'

/** What is asked of a tokenizer. */
type Vocabulary = Pick<PreTrainedTokenizer, 'get_vocab' | 'decode'>

/**
 * The bytes of tokens that are part of a character, as tokenizers of bytes have them and those that write unknown characters as `<0xE2>`.
 *
 * @returns `undefined`: the token stands for a text, or the vocabulary does not say for which bytes.
 */
export function createTokenBytes(tokenizer: Vocabulary): (id: bigint) => number[] | undefined {
  let names: Map<number, string> | undefined
  return (id) => {
    const text = tokenizer.decode([id], { skip_special_tokens: false, clean_up_tokenization_spaces: false })
    if (!text.includes(UNKNOWN)) return undefined
    names ??= new Map([...tokenizer.get_vocab()].map(([name, of]) => [of, name]))
    const bytes = bytesOf(names.get(Number(id)) ?? '')
    const read = bytes && new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes))
    return read === text ? bytes : undefined
  }
}

const UNKNOWN = '\ufffd'

function bytesOf(name: string): number[] | undefined {
  const [, hex] = /^<0x([0-9A-F]{2})>$/.exec(name) ?? []
  if (hex !== undefined) return [Number.parseInt(hex, 16)]
  const bytes = Array.from(name, (character) => BYTES.get(character))
  return bytes.length > 0 && bytes.every((byte) => byte !== undefined) ? bytes : undefined
}

const CODES = 256

/** Bytes that stand for themselves in such vocabularies: what can be seen of Latin-1. */
const isSeen = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte < CODES)

/** By the character that stands for it: for those that cannot be seen the ones from 256 on, one after another. */
const BYTES: ReadonlyMap<string, number> = charactersOfBytes()

function charactersOfBytes(): Map<string, number> {
  const all = Array.from({ length: CODES }, (_, byte) => byte)
  const hidden = all.filter((byte) => !isSeen(byte))
  return new Map([
    ...all.filter(isSeen).map((byte) => [String.fromCodePoint(byte), byte] as const),
    ...hidden.map((byte, index) => [String.fromCodePoint(CODES + index), byte] as const),
  ])
}
