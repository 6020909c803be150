import type { ProviderProber, ProviderVerdict } from '../src/index.ts'

/** Says what a test wants it to say; nothing is tried. */
export function mockProber(works: Readonly<Record<string, boolean>>): ProviderProber & { asked: string[] } {
  const asked: string[] = []
  const verdictOf = (provider: string): ProviderVerdict => ({
    provider,
    works: works[provider] === true,
    why: 'a mock says so',
    milliseconds: 0,
    runtime: { name: 'onnxruntime-node', version: '0.0.0' },
    from: 'probed',
  })
  return {
    asked,
    listed: async () => ({ providers: Object.keys(works), why: undefined }),
    async probe(provider) {
      asked.push(provider)
      return verdictOf(provider)
    },
    verdicts: () => asked.map(verdictOf),
  }
}
