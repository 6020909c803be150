import { generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { expect, it } from 'vitest'

import { cli } from './harness.ts'
import { fromOf, HELLO, receiptOf, setup } from './results-support.ts'

async function writeKeys(folder: string, name: string): Promise<{ key: string; pub: string }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const [key, pub] = [path.join(folder, `${name}.pem`), path.join(folder, `${name}.pub`)]
  await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  await writeFile(pub, publicKey.export({ type: 'spki', format: 'pem' }))
  return { key, pub }
}

it('hands results on, signed, and says whose they are', async () => {
  const [here, there] = [await setup(), await setup()]
  await Promise.all([here.add('tiny-sentiment'), there.add('tiny-sentiment')])
  const { key, pub } = await writeKeys(here.folder, 'us')
  const { pub: stranger } = await writeKeys(here.folder, 'stranger')
  const ran = await here.run(HELLO)
  const receipt = String(receiptOf(ran)['cid'])
  const car = path.join(here.folder, 'results.car')
  expect(await here.run(['cache', 'pack', '--key', key])).toMatchObject({ code: 2, error: { code: 'USAGE' } })
  expect(await here.run(['cache', 'pack', 'no-cid', '--key', key, '-o', car])).toMatchObject({
    code: 2,
    error: { message: expect.stringContaining('no-cid is no CID of a receipt') },
  })
  const packed = await here.run(['cache', 'pack', receipt, '--key', key, '-o', car])
  const { length } = await readFile(car)
  expect(packed.lines).toMatchObject([{ results: 1, facts: 1, leftOut: 0, size: length, path: car }])
  expect(await here.run(['cache', 'pack', '--key', key, '-o', car])).toMatchObject({ code: 2 })

  expect(await there.run(['cache', 'unpack', car])).toMatchObject({ code: 2 })
  expect(await there.run(['cache', 'unpack', car, '--trust', stranger])).toMatchObject({
    code: 4,
    error: { code: 'SIGNATURE' },
  })
  expect(await there.run(['cache', 'unpack', key, '--trust', pub])).toMatchObject({
    code: 2,
    error: { message: expect.stringContaining(key) },
  })
  const taken = await there.run(['cache', 'unpack', car, '--trust', pub])
  expect(taken.lines).toMatchObject([{ results: 1, facts: 1, held: 0, missing: 0, disputed: [], refused: [] }])
  const given = await there.run(HELLO)
  expect(fromOf(given)).toBe('disk')
  expect(given.lines[0]).toEqual({ ...ran.lines[0], from: 'disk', vouchedBy: expect.objectContaining({ name: pub }) })
  expect(ran.lines[0]).toMatchObject({ vouchedBy: null })
  expect((await there.run(['receipt', 'show', receipt])).lines).toMatchObject([{ vouchedBy: { name: pub } }])
  expect((await here.run(['receipt', 'show', receipt])).lines).toMatchObject([{ vouchedBy: null }])
  const explain = ['cache', 'explain', 'text-classification', 'good', '--model', 'fix/tiny-sentiment']
  expect((await there.run(explain)).lines).toMatchObject([{ state: 'held', receipt, vouchedBy: { name: pub } }])
  const said = await cli([...HELLO, '--store', there.store])
  expect(said.stdout).toContain(`kept on disk, computed elsewhere and signed by ${pub}; model`)
  expect(await there.run(['cache', 'pack', '--key', key, '-o', path.join(there.folder, 'again.car')])).toMatchObject({
    code: 3,
    error: { code: 'NOT_FOUND' },
  })
  expect((await there.run(['receipt', 'verify', receipt])).lines).toMatchObject([{ verdict: 'same' }])
})
