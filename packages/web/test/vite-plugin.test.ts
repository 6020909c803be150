import { CI_SERVICES, CI_VARIABLES, GATE_VARIABLES } from '@x/gating'
import { beforeEach, expect, it, vi } from 'vitest'

import { models } from '../src/vite.ts'

const context = {
  resolve: async (id: string) => ({ id: `/node_modules/${id}/index.js` }),
  emitFile: () => 'reference',
}
const resolve = (plugin: ReturnType<typeof models>, id: string, importer?: string, options?: { ssr: boolean }) =>
  plugin.resolveId.call(context, id, importer, options)

const LIBRARY = '@huggingface/transformers'

it('wraps the library for pages, once, and leaves servers and the rest alone', async () => {
  const plugin = models({ enabled: true, directory: 'a/b', offline: 'strict' })
  const wrapped = await resolve(plugin, LIBRARY, '/page.js')
  expect(wrapped).toBe(`\0x-web-transformers:/node_modules/${LIBRARY}/index.js`)
  expect(plugin.load.call(context, wrapped ?? '')).toContain('install(env, {"directory":"a/b","offline":"strict"})')
  expect(await resolve(plugin, LIBRARY, wrapped ?? '')).toBeNull()
  expect(await resolve(plugin, LIBRARY, '/page.js', { ssr: true })).toBeNull()
  // Of the program itself: that is its own business.
  expect(await resolve(plugin, 'onnxruntime-web/webgpu', '/page.js')).toBeNull()
  expect(await resolve(plugin, 'vite', '/page.js')).toBeNull()
})

// Whatever the tests are run by.
beforeEach(() => {
  const names = [
    ...GATE_VARIABLES.map(({ name }) => name),
    ...CI_SERVICES.map(({ variable }) => variable),
    ...CI_VARIABLES,
  ]
  for (const name of names) vi.stubEnv(name, undefined)
  return () => void vi.unstubAllEnvs()
})

it.each([
  ['TRANSFORMERS_PATCH_DISABLE', 'Yes'],
  ['IPFS_ACCELERATE_PATCH', 'off'],
  ['IPFS_KIT_DISABLE', '1'],
  ['CI', 'true'],
])('is off with %s=%s, as its gate is, and says so', async (name, value) => {
  expect(await resolve(models(), LIBRARY, '/page.js')).not.toBeNull()
  vi.stubEnv(name, value)
  const plugin = models()
  expect(await resolve(plugin, LIBRARY, '/page.js')).toBeNull()
  expect(plugin.config()).toEqual({})
  const warn = vi.fn<(message: string) => void>()
  plugin.configResolved({ command: 'build', base: '/', logger: { warn } })
  expect(warn).toHaveBeenCalledWith(expect.stringContaining(name))
  expect(await resolve(models({ enabled: true }), LIBRARY, '/page.js')).not.toBeNull()
})

it.each(['TRANSFORMERS_PATCH_DISABLE', 'IPFS_ACCELERATE_PATCH'])('refuses %s=bogus', (name) => {
  vi.stubEnv(name, 'bogus')
  expect(() => models()).toThrow(name)
})
