/** As transformers.js calls a streamer: with the prompt, then with each token, then at the end. */
export interface TokenStreamer<Id = bigint> {
  put(rows: readonly (readonly Id[])[]): void
  end(): void
}

/** Makes a text of tokens. */
export interface Decoder<Id> {
  decode(ids: Id[], options: { skip_special_tokens: boolean }): string
}

/** How many tokens of the prompt are decoded with the first new one: what a token reads as depends on those before it. */
const CONTEXT = 5

/**
 * A text that ends so may change with what comes: the library takes away the space before marks and before `n't`, `'m`, `'s`, `'ve`
 * and `'re`, and both about a lone `'`; U+FFFD stands for bytes that are no character yet.
 */
const UNFINISHED = /(?: (?:'(?:v|r)?|n'?)?|\ufffd)$/

/**
 * Turns tokens into text as they come, without the prompt. The library's own streamer begins anew behind the prompt, and
 * loses the space that many tokenizers write between two words.
 *
 * Some tokens at a time are decoded, together with those just before them; what is new is what comes behind the text of
 * those alone. What the next token may change waits for it.
 *
 * @param onText - Given a piece, and what splits it among the tokens that came since the last one.
 */
export function createTextStream<Id>(
  decoder: Decoder<Id>,
  onText: (piece: string, split: () => string[]) => void,
): TokenStreamer<Id> {
  const ids: Id[] = []
  let isPrompt = true
  /** Where the tokens begin that are decoded again, and where those begin whose text was not given yet. */
  let [context, fresh] = [0, 0]
  const decode = (from: number, to: number): string =>
    decoder.decode(ids.slice(from, to), { skip_special_tokens: true })

  function give(isEnd: boolean): void {
    const text = decode(context, ids.length)
    const known = decode(context, fresh)
    const piece = text.slice(sharedLength(known, text))
    if (piece === '' || (UNFINISHED.test(text) && !isEnd)) return
    const [from, first] = [context, fresh]
    context = fresh
    fresh = ids.length
    onText(piece, () => split(text, sharedLength(known, text), from, first))
  }

  /** To each token goes what is certain of the text with it, and was not before. */
  function split(text: string, begin: number, from: number, first: number): string[] {
    let at = begin
    return ids.slice(first).map((_, index, { length }) => {
      const isLast = index === length - 1
      const end = isLast ? text.length : Math.max(at, sharedLength(decode(from, first + index + 1), text))
      const part = text.slice(at, end)
      at = end
      return part
    })
  }

  return {
    put([row = []]) {
      ids.push(...row)
      if (isPrompt) {
        isPrompt = false
        fresh = ids.length
        context = Math.max(0, fresh - CONTEXT)
      } else give(false)
    },
    end() {
      give(true)
    },
  }
}

/** With how many characters both begin: all of the first, but where a prompt ended in what changed. */
export function sharedLength(known: string, text: string): number {
  if (text.startsWith(known)) return known.length
  let length = 0
  while (length < known.length && known[length] === text[length]) length += 1
  return length
}
