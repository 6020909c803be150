import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

import { deviceFacts } from './providers/device-facts.ts'
import { runsOnProcessor } from './providers/provider-names.ts'

/** How ONNX Runtime holds weights: `prepacked`, as it does by itself, or as they lie in the file. The last bits differ. */
export type WeightClass = 'prepacked' | 'unpacked'

/**
 * For ONNX Runtime: what it does by itself, said for it because a result's class rests on it. What changes the sessions of a whole
 * program, as `@x/node/register` does, leaves those as they are that say so.
 */
export const PREPACKED = { extra: { session: { disable_prepacking: '0' } } } as const

let processor: string | undefined

/**
 * What decides the last bits of a result besides the graph, the runtime and the provider: `x64-1f2e3d4c5b6a-prepacked`, the
 * architecture, a digest of the processor's features, and how weights are held; where something else than the processor computes, also
 * a digest of the devices and drivers. Over weights that are not prepacked ONNX Runtime adds up a product as it is divided
 * among threads, so their number is part of it: `x64-1f2e3d4c5b6a-unpacked-2`. Prepacked, no number of threads was seen to
 * change a bit. Where graphs were prepared with options or in files of their own, a digest of those comes last:
 * `x64-1f2e3d4c5b6a-prepacked-0a1b2c3d4e5f`.
 *
 * @param prepared - The digest of each graph that was.
 */
export function numericClassOf(
  weights: WeightClass,
  executionProvider: string,
  threads: number,
  prepared: readonly string[],
): string {
  return [
    ...hardwareClass(executionProvider),
    weights === 'unpacked' ? `unpacked-${threads}` : weights,
    ...(prepared.length > 0 ? [digest(prepared.toSorted().join())] : []),
  ].join('-')
}

/** The architecture and a digest of the processor's features; where something else computes, also one of the devices and drivers. */
export function hardwareClass(executionProvider: string): string[] {
  processor ??= `${process.arch}-${digest(features())}`
  return [processor, ...(runsOnProcessor(executionProvider) ? [] : [digest(JSON.stringify(deviceFacts()))])]
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12)

/** As the system lists them; where it does not, the processor's name, which implies them. */
function features(): string {
  const model = cpus()[0]?.model ?? ''
  if (process.platform !== 'linux') return model
  const [, flags = ''] = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8')) ?? []
  return `${model}: ${flags}`
}
