const UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB'] as const

/** Bytes for a person, in powers of 1000: `22.9 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  // 999.95 would be written 1000.0.
  while (value >= (unit === 0 ? 1000 : 999.95) && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1
  return `${value.toFixed(digits)} ${unit === 0 && value === 1 ? 'byte' : UNITS[unit]}`
}
