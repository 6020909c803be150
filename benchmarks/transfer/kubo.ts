// A Kubo of its own, as a child: pins a root, which it fetches from one peer, then one syncfs.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'

import { createByteCheck } from '../harness/byte-check.ts'
import { runJob, timed } from '../harness/job.ts'
import { syncFileSystem } from '../harness/sync-file-system.ts'

const run = promisify(execFile)

interface Parameters {
  kubo: string
  addressFile: string
  root: string
  output: string
}

async function isolate(configFile: string): Promise<void> {
  const config = JSON.parse(await readFile(configFile, 'utf8'))
  config.Addresses = { ...config.Addresses, API: '/ip4/127.0.0.1/tcp/0', Gateway: '/ip4/127.0.0.1/tcp/0', Swarm: [] }
  config.Bootstrap = []
  config.Discovery = { MDNS: { Enabled: false } }
  config.Routing = { Type: 'none' }
  config.AutoConf = { Enabled: false }
  config.DNS = { Resolvers: {} }
  config.Ipns = { ...config.Ipns, DelegatedPublishers: [] }
  await writeFile(configFile, JSON.stringify(config))
}

await runJob<Parameters>(async ({ kubo, addressFile, root, output, check }) => {
  const address = await readFile(addressFile, 'utf8')
  const env = { ...process.env, IPFS_PATH: output, IPFS_TELEMETRY: 'off' }
  const ipfs = (...args: string[]) => run(kubo, args, { env })
  await ipfs('init', '--empty-repo', '--profile=test')
  await isolate(`${output}/config`)
  const daemon = spawn(kubo, ['daemon'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = once(daemon, 'close')
  let said = ''
  for await (const text of daemon.stdout.setEncoding('utf8')) {
    said += text
    if (said.includes('Daemon is ready')) break
  }
  if (!said.includes('Daemon is ready')) throw new Error(said)
  const { seconds } = await timed(async () => {
    await ipfs('swarm', 'connect', address)
    await ipfs('pin', 'add', '--progress=false', root)
    syncFileSystem(output)
  })
  const bytes = createByteCheck(check)
  if (check) {
    const cat = spawn(kubo, ['cat', root], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    for await (const piece of cat.stdout) bytes.take(piece)
  }
  daemon.kill('SIGTERM')
  await gone
  return { seconds, evidence: { root, ...(check && bytes.evidence()) } }
})
