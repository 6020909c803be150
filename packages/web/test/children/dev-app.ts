import { createReadStream } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import { models } from '@x/web/vite'
import { createServer } from 'vite'

/** The pages of `test/app` as `vite dev` serves them. Prints the address, ends with its input. */
const server = await createServer({
  configFile: false,
  root: fileURLToPath(new URL('../app/', import.meta.url)),
  base: '/app/',
  cacheDir: process.argv[2] ?? '',
  logLevel: 'error',
  plugins: [
    models({ enabled: true }),
    { name: 'model', configureServer: ({ middlewares }) => void middlewares.use('/model', serveModel) },
  ],
  resolve: { conditions: ['@x/source', 'module', 'browser', 'development|production'] },
  server: { host: '127.0.0.1', port: 0, fs: { allow: [fileURLToPath(new URL('../../../../', import.meta.url))] } },
})
await server.listen()
const address = server.httpServer?.address()
if (typeof address !== 'object' || address === null) throw new Error('it listens nowhere')
console.log(`http://127.0.0.1:${address.port}`)
process.stdin.on('end', () => void server.close())
process.stdin.resume()

function serveModel({ url = '' }: IncomingMessage, response: ServerResponse): void {
  createReadStream(new URL(`.${url.replaceAll('..', '')}`, modelDirectory)).pipe(response)
}
