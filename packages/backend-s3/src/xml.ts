/** An element: its name without a prefix, its own text, and the elements in it. */
export interface XmlElement {
  name: string
  text: string
  children: XmlElement[]
}

/** Deeper than any answer of S3. */
const MAX_DEPTH = 32

/** More than any: a page of a listing has a thousand keys, with a dozen elements each. One of four bytes takes thirty times as many. */
const MAX_ELEMENTS = 100_000

/**
 * Reads the XML that S3 answers with: elements and text. Attributes, comments and the declaration are passed over; document
 * types, which could define entities, are refused.
 *
 * @throws {SyntaxError} It is none.
 */
export function parseXml(source: string): XmlElement {
  const root: XmlElement = { name: '', text: '', children: [] }
  const open: XmlElement[] = [root]
  const token =
    /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)([^\s<>/!?]+)((?:[\s/][^<>]*)?)>|([^<]+)/gy
  let [end, elements] = [0, 0]
  for (let match = token.exec(source); match !== null; match = token.exec(source)) {
    end = token.lastIndex
    const [, data, slash, fullName, attributes, text] = match
    const current = open.at(-1) ?? root
    if (data !== undefined) current.text += data
    else if (text !== undefined) current.text += decodeText(text)
    else if (fullName !== undefined) {
      const name = fullName.slice(fullName.indexOf(':') + 1)
      if (slash === '/') {
        if (open.length === 1 || current.name !== name) throw new SyntaxError(`</${name}> closes nothing`)
        open.pop()
      } else {
        elements += 1
        if (elements > MAX_ELEMENTS) throw new SyntaxError('it has too many elements')
        const element: XmlElement = { name, text: '', children: [] }
        current.children.push(element)
        if (!attributes?.endsWith('/')) open.push(element)
        if (open.length > MAX_DEPTH) throw new SyntaxError('it is too deep')
      }
    }
  }
  const [first, ...others] = root.children
  if (end !== source.length || open.length !== 1) throw new SyntaxError('it ends within an element')
  if (first === undefined || others.length > 0 || root.text.replace('\uFEFF', '').trim() !== '') {
    throw new SyntaxError('it is not one element')
  }
  return first
}

/** The text of the only child of that name; `undefined`: there is none. */
export const childText = (element: XmlElement, name: string): string | undefined =>
  element.children.find((child) => child.name === name)?.text

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decodeText(text: string): string {
  return text.replaceAll(/&([^;&]{0,10});?/g, (whole, name: string) => {
    const known = ENTITIES[name]
    if (known !== undefined) return known
    const [, hex, decimal] = /^#(?:x([0-9a-f]{1,6})|(\d{1,7}))$/i.exec(name) ?? []
    const point = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
    if (!whole.endsWith(';') || !(point >= 0 && point <= 0x10ff_ff)) throw new SyntaxError(`${whole} is no character`)
    return String.fromCodePoint(point)
  })
}
