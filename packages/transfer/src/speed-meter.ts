/** How fast bytes come, over the last seconds. */
export interface SpeedMeter {
  add(bytes: number): void
  /** `undefined` before it can be told. */
  bytesPerSecond(): number | undefined
}

const BUCKET_MS = 250
const BUCKETS = 12
const LEAST_MS = 200

export function createSpeedMeter(now: () => number = () => performance.now()): SpeedMeter {
  const buckets = new Map<number, number>()
  let startedAt: number | undefined
  const drop = (current: number): void => {
    for (const bucket of buckets.keys()) if (bucket <= current - BUCKETS) buckets.delete(bucket)
  }
  return {
    add: (bytes) => {
      startedAt ??= now()
      const bucket = Math.floor(now() / BUCKET_MS)
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + bytes)
      drop(bucket)
    },
    bytesPerSecond: () => {
      if (startedAt === undefined) return undefined
      const at = now()
      if (at - startedAt < LEAST_MS) return undefined
      const bucket = Math.floor(at / BUCKET_MS)
      drop(bucket)
      let bytes = 0
      for (const count of buckets.values()) bytes += count
      const from = Math.max(startedAt, (bucket - BUCKETS + 1) * BUCKET_MS)
      return (bytes * 1000) / Math.max(1, at - from)
    },
  }
}
