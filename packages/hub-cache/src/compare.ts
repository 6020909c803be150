const encoder = new TextEncoder()

/** Orders texts by their UTF-8 bytes. UTF-16, which `<` compares, orders some differently. */
export const compareText = (left: string, right: string): number =>
  Buffer.compare(encoder.encode(left), encoder.encode(right))
