// A byte order mark is part of a name as much as any character.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** `undefined`: these bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** Bytes of a text in UTF-8, without making them. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0x80) continue
    // Two units of a pair take four bytes; one that stands alone is written as U+FFFD, in three.
    const isPair = unit >= 0xd800 && unit < 0xdc00 && isLow(text.charCodeAt(index + 1))
    bytes += unit < 0x800 ? 1 : 2
    if (isPair) index++
  }
  return bytes
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000
}
