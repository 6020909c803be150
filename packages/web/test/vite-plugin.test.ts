import { expect, it, vi } from 'vitest'

import { models } from '../src/vite.ts'

const context = {
  resolve: async (id: string) => ({ id: `/node_modules/${id}/index.js` }),
  emitFile: () => 'reference',
}
const resolve = (plugin: ReturnType<typeof models>, id: string, importer?: string, options?: { ssr: boolean }) =>
  plugin.resolveId.call(context, id, importer, options)

const LIBRARY = '@huggingface/transformers'

it('wraps the library for pages, once, and leaves servers and the rest alone', async () => {
  const plugin = models({ directory: 'a/b', offline: 'strict' })
  const wrapped = await resolve(plugin, LIBRARY, '/page.js')
  expect(wrapped).toBe(`\0x-web-transformers:/node_modules/${LIBRARY}/index.js`)
  expect(plugin.load.call(context, wrapped ?? '')).toContain('install(env, {"directory":"a/b","offline":"strict"})')
  expect(await resolve(plugin, LIBRARY, wrapped ?? '')).toBeNull()
  expect(await resolve(plugin, LIBRARY, '/page.js', { ssr: true })).toBeNull()
  // Of the program itself: that is its own business.
  expect(await resolve(plugin, 'onnxruntime-web/webgpu', '/page.js')).toBeNull()
  expect(await resolve(plugin, 'vite', '/page.js')).toBeNull()
})

it('can be switched off by the environment of the build', async () => {
  try {
    vi.stubEnv('TRANSFORMERS_PATCH_DISABLE', 'Yes')
    expect(await resolve(models(), LIBRARY, '/page.js')).toBeNull()
    expect(models().config()).toEqual({})
    expect(await resolve(models({ enabled: true }), LIBRARY, '/page.js')).not.toBeNull()
    vi.stubEnv('TRANSFORMERS_PATCH_DISABLE', 'perhaps')
    expect(() => models()).toThrow('neither true nor false')
  } finally {
    vi.unstubAllEnvs()
  }
})
