/** Where the graph is computed by a library of its own, in WebAssembly; in threads alone. */
export const WASM = 'wasm'

/** What `auto` tries of what the installed runtime has, in this order: the processor's own comes last. */
export const AUTO_ORDER: readonly string[] = [
  'cuda',
  'tensorrt',
  'dml',
  'coreml',
  'webgpu',
  'openvino',
  'qnn',
  'cpu',
  WASM,
]

/** Those that compute on the processor. */
export const runsOnProcessor = (provider: string): boolean => provider === 'cpu' || provider === WASM

/** `device` of transformers.js for an execution provider; of those that it has no name for, `cpu`, where only the sessions say it. */
export function deviceOf(provider: string, { platform, arch }: Pick<NodeJS.Process, 'platform' | 'arch'>): Device {
  if (provider === 'cuda' && platform === 'linux' && arch === 'x64') return provider
  if (provider === 'dml' && platform === 'win32') return provider
  if (provider === 'coreml' && platform === 'darwin') return provider
  return provider === 'webgpu' ? provider : 'cpu'
}

type Device = 'cpu' | 'cuda' | 'dml' | 'coreml' | 'webgpu'
