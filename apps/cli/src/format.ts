const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

/** Bytes for people, decimal units: `1.2 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/** Time for people: `7 s`, `3 min 20 s`, `2 h 5 min`. Rounded up to whole seconds. */
export function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds)
  const minutes = Math.floor(whole / 60)
  if (minutes === 0) return `${whole} s`
  if (minutes < 60) return `${minutes} min ${whole % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** A number with what is counted: `1 root`, `1,234 files`. */
export const formatCount = (count: number, one: string): string =>
  `${formatNumber(count)} ${one}${count === 1 ? '' : 's'}`

/** With a comma between thousands, whatever the locale. */
export const formatNumber = (value: number): string => value.toLocaleString('en-US')

/** Columns padded to the widest cell, two spaces apart. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/**
 * Text that came from data, for one line of a terminal: characters that could move the cursor, hide what is there or turn
 * its direction are shown as escapes.
 */
export const printable = (text: string): string =>
  text.replaceAll(UNPRINTABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)

/** The same of JSON, which stays JSON. Its own lines stay too. */
export const printableJson = (json: string): string =>
  json.replaceAll(UNPRINTABLE, (character) => (character === '\n' ? character : escapedUnits(character)))

function escapedUnits(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
}

/** A key by both of its names: in registries and policies, and as bundles have it, the SHA-256 of its PEM text. */
export const formatKey = (fingerprint: string, hint: string | undefined): string =>
  hint === undefined ? printable(fingerprint) : `${printable(fingerprint)} (PEM text ${printable(hint)})`

/** Numbers of a long vector that are shown to people. */
const SHOWN_NUMBERS = 6

/** A task's output on one line for people: long lists of numbers are cut, and say so. */
export function formatOutput(value: unknown): string {
  const json = JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'number') return Number(item.toPrecision(6))
    if (!Array.isArray(item) || item.length <= SHOWN_NUMBERS || item.some((member) => typeof member !== 'number'))
      return item
    return [...item.slice(0, SHOWN_NUMBERS), `... ${item.length} numbers`]
  })
  return printableJson(json)
}
