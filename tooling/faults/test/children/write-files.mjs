// Does, one after another, what its arguments say, in the directory that comes first. Prints what each came to.
import * as fs from 'node:fs'
import { copyFile, link, mkdir, open, readFile, rename, rm, symlink, unlink } from 'node:fs/promises'
import * as os from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'

const [directory, ...steps] = process.argv.slice(2)
const at = (name) => join(directory, name)
const bytes = Buffer.alloc(1000, 'x')

const withFile = async (name, flags, work) => {
  const handle = await open(at(name), flags)
  try {
    return await work(handle)
  } finally {
    await handle.close()
  }
}

const work = {
  create: () => withFile('new', 'wx', () => undefined),
  write: () => withFile('written', 'w', (handle) => handle.writeFile(bytes)),
  'write-once': () => withFile('written', 'w', async (handle) => (await handle.write(bytes)).bytesWritten),
  pwrite: () => withFile('placed', 'w', async (handle) => (await handle.write(bytes, 0, 1000, 10)).bytesWritten),
  writev: () => withFile('listed', 'w', async (handle) => (await handle.writev([bytes, bytes])).bytesWritten),
  pwritev: () => withFile('listed', 'w', async (handle) => (await handle.writev([bytes, bytes], 10)).bytesWritten),
  'write-sync': () => fs.writeFileSync(at('written'), bytes),
  read: () => withFile('seed', 'r', async (handle) => (await handle.read(Buffer.alloc(10))).bytesRead),
  pread: () => withFile('seed', 'r', async (handle) => (await handle.read(Buffer.alloc(10), 0, 10, 0)).bytesRead),
  readv: () =>
    withFile('seed', 'r', async (handle) => (await handle.readv([Buffer.alloc(5), Buffer.alloc(5)], 0)).bytesRead),
  'read-file': async () => (await readFile(at('seed'))).length,
  fsync: () => withFile('seed', 'r', (handle) => handle.sync()),
  'fsync-directory': () => withFile('.', 'r', (handle) => handle.sync()),
  fdatasync: () => withFile('seed', 'r', (handle) => handle.datasync()),
  ftruncate: () => withFile('seed', 'r+', (handle) => handle.truncate(5)),
  rename: () => rename(at('seed'), at('renamed')),
  link: () => link(at('seed'), at('linked')),
  symlink: () => symlink('seed', at('pointer')),
  unlink: () => unlink(at('seed')),
  'rm-sync': () => fs.rmSync(at('seed')),
  'rm-tree': () => rm(at('tree'), { recursive: true }),
  mkdir: () => mkdir(at('made')),
  chmod: () => withFile('seed', 'r', (handle) => handle.chmod(0o444)),
  copy: () => copyFile(at('seed'), at('copied')),
  clone: () => copyFile(at('seed'), at('cloned'), fs.constants.COPYFILE_FICLONE_FORCE),
  relative: () => {
    process.chdir(directory)
    fs.mkdirSync('made')
  },
  async sqlite() {
    const { DatabaseSync } = await import('node:sqlite')
    const database = new DatabaseSync(at('data.sqlite'))
    database.exec('pragma synchronous = full; create table t (k integer primary key, v text)')
    database.exec(`insert into t (v) values ('one')`)
    database.close()
  },
  async 'sqlite-wal'() {
    const { DatabaseSync } = await import('node:sqlite')
    const database = new DatabaseSync(at('wal.sqlite'))
    database.exec('pragma journal_mode = wal; create table t (k integer primary key, v text)')
    database.exec(`insert into t (v) values ('one')`)
    database.close()
  },
  async threads() {
    const code = `
      const fs = require('node:fs'), { parentPort, workerData } = require('node:worker_threads')
      let failed = 0
      for (let i = 0; i < 50; i++) {
        try {
          fs.mkdirSync(workerData + '-' + i)
        } catch {
          failed++
        }
      }
      parentPort.postMessage(failed)`
    const failed = [0, 1, 2, 3].map(
      (n) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(code, { eval: true, workerData: at(`thread-${n}`) })
          worker.on('message', resolve).on('error', reject)
        }),
    )
    return `${(await Promise.all(failed)).reduce((sum, count) => sum + count)} failed`
  },
}

for (const step of steps) {
  let outcome
  try {
    outcome = (await work[step]()) ?? 'ok'
  } catch (error) {
    outcome = error.code === 'ERR_SQLITE_ERROR' ? `sqlite ${error.errcode}` : error.code
    // libuv has no name for it.
    if (error.errno === -os.constants.errno.EDQUOT) outcome = 'EDQUOT'
  }
  console.log(`${step} ${outcome}`)
}
