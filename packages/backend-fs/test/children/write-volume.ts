import { openVolume } from '@x/storage-core/fs'

import { openFsStore } from '../../src/index.ts'

// Writes files into a volume, against others who do the same.
const [directory = '', writer = '', times = '0'] = process.argv.slice(2)
const store = await openFsStore({ directory })
const volume = openVolume(store, 'tree')
for (let index = 0; index < Number(times); index++) {
  await volume.writeFile(`shared/${writer}-${index}`, new TextEncoder().encode(`${writer} ${index}`))
}
await store.close()
process.stdout.write(`${JSON.stringify({ type: 'done' })}\n`)
