#!/usr/bin/env node
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(`ipfs-accelerate needs Node 22.19 or newer; this is ${process.version} (${process.execPath})`)
  process.exit(1)
}
const { main } = await import('../dist/index.js')
await main()
