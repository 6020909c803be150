import { describe, expect, it } from 'vitest'

import { decideGates, mayReach } from '../src/index.ts'

const here = ['localhost', 'LOCALHOST', 'kubo.localhost', 'localhost.', '127.0.0.1', '127.255.0.9', '::1', '[::1]']
const mapped = ['::ffff:127.0.0.1', new URL('http://[::ffff:127.0.0.1]/').hostname]
const elsewhere = [
  'example.org',
  'localhost.example.org',
  'notlocalhost',
  '.localhost',
  '128.0.0.1',
  '10.0.0.1',
  '0.0.0.0',
  '127.0.0.1.nip.io',
  '127.0.0.256',
  '127.1',
  '[::2]',
  '[::12]',
  '::1:2',
  '::ffff:8.8.8.8',
  '::',
  '',
  '127.0.0.1\n',
]

describe('mayReach', () => {
  it.each([...here, ...mapped])('takes %j for this machine', (hostname) => {
    const gates = decideGates({ environment: {}, options: { network: 'local' } })
    expect(mayReach(gates, 'kubo', hostname)).toBe(true)
  })

  it.each(elsewhere)('takes %j for another machine', (hostname) => {
    const gates = decideGates({ environment: {}, options: { network: 'local' } })
    expect(mayReach(gates, 'kubo', hostname)).toBe(false)
  })

  it.each([...here, ...mapped, ...elsewhere])(
    'lets everything reach %j with the network on, nothing with it off',
    (hostname) => {
      const environment = {}
      expect(mayReach(decideGates({ environment }), 'kubo', hostname)).toBe(true)
      expect(mayReach(decideGates({ environment, options: { network: 'off' } }), 'kubo', hostname)).toBe(false)
      expect(mayReach(decideGates({ environment, options: { kubo: 'local' } }), 'kubo', hostname)).toBe(false)
      expect(mayReach(decideGates({ environment, options: { kubo: 'off' } }), 'kubo', hostname)).toBe(false)
    },
  )
})
