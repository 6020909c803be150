import { GatedError } from '@x/storage-core'

/** What a model can be computed on, GPUs first. */
const PROVIDERS = ['metal', 'cuda', 'vulkan', 'cpu'] as const

/** There is Metal where there is nothing else. */
const AUTO: readonly LlamaProvider[] = process.platform === 'darwin' ? ['metal', 'cpu'] : ['cuda', 'vulkan', 'cpu']

export type LlamaProvider = (typeof PROVIDERS)[number]

const isLlamaProvider = (name: string): name is LlamaProvider => PROVIDERS.some((one) => one === name)

/**
 * Those of the execution providers that llama.cpp has, in their order. `auto` is all of them.
 *
 * @throws {GatedError} There is none among them.
 */
export function llamaProviders(asked: readonly string[] | 'auto'): readonly [LlamaProvider, ...LlamaProvider[]] {
  const names = asked === 'auto' ? AUTO : asked.filter((name) => isLlamaProvider(name))
  const [first, ...others] = names
  if (first !== undefined) return [first, ...others]
  const why = `llama.cpp runs a GGUF on ${PROVIDERS.join(', ')}, and not on ${String(asked)}`
  throw new GatedError(why, { feature: 'execution-provider' })
}
