// Which CID will other IPFS tools give my file? Hashes without storing, under each profile.
import { pathSource } from '@x/node'
import { buildSource } from '@x/storage-core'

const licence = await pathSource(new URL('../LICENSE-APACHE', import.meta.url).pathname)
for (const profile of ['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1'] as const) {
  const { cid } = await buildSource(licence, { profile })
  console.log(profile, cid.toString())
}
