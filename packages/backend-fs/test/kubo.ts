/** The Kubo that `tooling/kubo.mjs` knows of; `undefined`: there is none. */
export async function findKubo(): Promise<string | undefined> {
  const tool: unknown = await import(new URL('../../../tooling/kubo.mjs', import.meta.url).href)
  if (typeof tool !== 'object' || tool === null || !('findKubo' in tool) || typeof tool.findKubo !== 'function') {
    throw new Error('tooling/kubo.mjs has no findKubo')
  }
  const path: unknown = tool.findKubo()
  return typeof path === 'string' ? path : undefined
}
