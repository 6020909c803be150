/** A text that comes in pieces, as far as it comes before a stop text. */
interface StoppedText {
  give(piece: string): void
  /** Nothing comes any more: what was held back is given. */
  end(): void
  /** A stop text came. Nothing is given any more. */
  readonly isStopped: boolean
}

/**
 * Ends a text before the stop text that is complete first, and of several that are so at once before the longest: then it does not matter in
 * which pieces it comes. What may be the beginning of one waits for what comes.
 *
 * @param onText - Given what is sure to be of the text, never an empty piece.
 */
export function createStopText(stops: readonly string[], onText: (piece: string) => void): StoppedText {
  let held = ''
  let isStopped = false
  const give = (piece: string): void => {
    if (piece !== '') onText(piece)
  }

  return {
    get isStopped() {
      return isStopped
    },
    give(piece) {
      if (isStopped) return
      const text = held + piece
      const end = endBefore(stops, text)
      isStopped = end !== undefined
      const sure = end ?? text.length - heldLength(stops, text)
      held = isStopped ? '' : text.slice(sure)
      give(text.slice(0, sure))
    },
    end() {
      const rest = held
      held = ''
      give(rest)
    },
  }
}

/** Where the first stop text begins; `undefined`: none is there. */
function endBefore(stops: readonly string[], text: string): number | undefined {
  const found = stops.flatMap((stop) => {
    const at = text.indexOf(stop)
    return at === -1 ? [] : [{ at, end: at + stop.length }]
  })
  const [first] = found.toSorted((one, other) => one.end - other.end || one.at - other.at)
  return first?.at
}

/** How long the longest end of the text is with which a stop text begins. */
function heldLength(stops: readonly string[], text: string): number {
  const longest = Math.max(0, ...stops.map(({ length }) => length - 1))
  for (let length = Math.min(longest, text.length); length > 0; length--) {
    const end = text.slice(-length)
    if (stops.some((stop) => stop.startsWith(end))) return length
  }
  return 0
}
