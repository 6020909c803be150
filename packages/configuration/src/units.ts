import { z } from 'zod'

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** `undefined`: it is of no such form, or no whole number that can be counted. */
function parse(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, count = '', unit = ''] = /^(\d{1,15}(?:\.\d{1,3})?)([A-Za-z]{1,3})$/.exec(text) ?? []
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined
  const value = Math.round(Number(count) * (factor ?? Number.NaN))
  return Number.isSafeInteger(value) && value > 0 ? value : undefined
}

const quantity = (units: Readonly<Record<string, number>>, complaint: string): z.ZodType<number> =>
  z.string(complaint).transform((text, context) => {
    const value = parse(text, units)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: complaint })
    return z.NEVER
  })

/** Milliseconds. */
export const duration: z.ZodType<number> = quantity(MS, 'is no time such as "500ms", "30s", "5m", "12h" or "30d"')

/** Bytes. */
export const byteSize: z.ZodType<number> = quantity(BYTES, 'is no size such as "500MiB", "10GB" or "4096B"')
