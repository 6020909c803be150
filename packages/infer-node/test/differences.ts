/** Where two values differ by more than the last bits of their numbers. */
export function differences(given: unknown, wanted: unknown, path = ''): string[] {
  if (typeof given === 'number' && typeof wanted === 'number') {
    return Math.abs(given - wanted) <= 1e-4 ? [] : [`${path}: ${given}, not ${wanted}`]
  }
  if (typeof given !== 'object' || given === null || typeof wanted !== 'object' || wanted === null) {
    return Object.is(given, wanted) ? [] : [`${path}: ${String(given)}, not ${String(wanted)}`]
  }
  const names = new Set([...Object.keys(given), ...Object.keys(wanted)])
  return [...names].flatMap((name) =>
    differences(Reflect.get(given, name), Reflect.get(wanted, name), `${path}/${name}`),
  )
}
