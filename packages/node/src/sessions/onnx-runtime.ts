import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'

/** What is called of onnxruntime-node. */
interface InferenceSessions {
  create(this: unknown, ...args: unknown[]): Promise<unknown>
}

/** A copy of onnxruntime-node that was loaded. */
export interface OnnxRuntime {
  /** Its main file, absolute. */
  file: string
  /** As it says of itself. */
  version: string
  sessions: InferenceSessions
}

/**
 * What a compiled model depends on: this build of ONNX Runtime, on a processor with these features. Hex.
 *
 * @param file - The runtime's main file.
 */
export function buildKey({ file, version }: Pick<OnnxRuntime, 'file' | 'version'>): string {
  const { platform, arch } = process
  const binary = join(dirname(dirname(file)), 'bin', 'napi-v6', platform, arch, 'onnxruntime_binding.node')
  const { size, mtimeMs } = statSync(binary)
  const key = { version, platform, arch, binary: [size, mtimeMs], features: cpuFeatures() }
  return createHash('sha256').update(JSON.stringify(key)).digest('hex')
}

/** As the system lists them; where it does not, the processor's name, which implies them. */
function cpuFeatures(): string {
  const model = cpus()[0]?.model ?? ''
  if (process.platform !== 'linux') return model
  const [, flags = ''] = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8')) ?? []
  return `${model}: ${flags}`
}
