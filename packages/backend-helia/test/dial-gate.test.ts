import { multiaddr } from '@multiformats/multiaddr'
import { expect, it } from 'vitest'

import { createDialGate } from '../src/libp2p/dial-gate.ts'

const ONE = '/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf'
const OTHER = '/p2p/QmdWH8HMfgiTXT32S9ZySjU6EKEXPRyFYwEc4ruWeW8Ayx'
const at = (address: string) => multiaddr(address)

it('is open for the addresses of a dial, while it lasts', async () => {
  const gate = createDialGate()
  const [wanted, another] = [at(`/ip4/203.1.2.3/tcp/1${ONE}`), at(`/ip4/203.1.2.3/tcp/2${ONE}`)]
  const first = Promise.withResolvers<void>()
  const dialling = gate.during([wanted], () => first.promise)
  await expect(gate.during([wanted], () => Promise.reject(new Error('refused')))).rejects.toThrow('refused')
  expect([gate.isOpen(wanted), gate.isOpen(another)]).toEqual([true, false])
  first.resolve()
  await dialling
  expect(gate.isOpen(wanted)).toBe(false)
})

it('is open for whatever a dnsaddr stands for, of its peer', async () => {
  const gate = createDialGate()
  await gate.during([at(`/dnsaddr/peers.example.org${ONE}`)], async () => {
    expect(gate.isOpen(at(`/ip4/203.1.2.3/tcp/1${ONE}`))).toBe(true)
    expect(gate.isOpen(at(`/ip4/203.1.2.3/tcp/1${OTHER}`))).toBe(false)
    expect(gate.isOpen(at('/ip4/203.1.2.3/tcp/1'))).toBe(false)
  })
})
