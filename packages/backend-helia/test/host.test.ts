import { describe, expect, it } from 'vitest'

import { kindOfHost } from '../src/host.ts'
import { checkNamedAddress } from '../src/named-address.ts'

describe('what a host is', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.0.1', 'loopback'],
    ['::1', 'loopback'],
    ['0:0:0:0:0:0:0:1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['10.1.2.3', 'lan'],
    ['172.16.0.1', 'lan'],
    ['172.31.255.255', 'lan'],
    ['192.168.7.7', 'lan'],
    ['169.254.9.9', 'lan'],
    ['100.64.0.1', 'lan'],
    ['fd00::1', 'lan'],
    ['FE80::1', 'lan'],
    ['::ffff:10.0.0.1', 'lan'],
    ['8.8.8.8', 'public'],
    ['172.32.0.1', 'public'],
    ['192.169.0.1', 'public'],
    ['100.128.0.1', 'public'],
    ['2a00::1', 'public'],
    ['::ffff:8.8.8.8', 'public'],
    ['example.org', 'name'],
    ['a_b.example.org', 'name'],
    ['0.0.0.0', 'other'],
    ['::', 'other'],
    ['127.1', 'other'],
    ['2130706433', 'other'],
    ['0x7f000001', 'other'],
    ['0177.0.0.1', 'other'],
    ['127.0.0.256', 'other'],
    ['1.2.3.4.5', 'other'],
    ['example.0x1', 'other'],
    ['224.0.0.1', 'other'],
    ['255.255.255.255', 'other'],
    ['198.19.0.1', 'other'],
    ['192.0.2.1', 'other'],
    ['64:ff9b::7f00:1', 'other'],
    ['2002:7f00:1::', 'other'],
    ['2001:0:1::', 'other'],
    ['2001:db8::1', 'other'],
    ['ff02::1', 'other'],
    ['fe80::1%eth0', 'other'],
    ['1:2', 'other'],
    ['localhost', 'other'],
    ['a.localhost', 'other'],
    ['printer.local', 'other'],
    ['metadata.google.internal', 'other'],
    ['intranet', 'other'],
    ['example.org.', 'other'],
    ['user:pw@10.0.0.1', 'other'],
    ['169.254.169.254#', 'other'],
    ['10.0.0.1%2f', 'other'],
    ['', 'other'],
  ])('%s is %s', (host, kind) => {
    expect(kindOfHost(host)).toBe(kind)
  })
})

describe('an address that a stranger names', () => {
  const names: Record<string, string[]> = {
    'public.example.org': ['203.1.2.3', '2a00::7'],
    'rebound.example.org': ['203.1.2.3', '127.0.0.1'],
    'mapped.example.org': ['::ffff:a00:1'],
    'unknown.example.org': [],
  }
  // What is no name is not looked up: a DNS server may say anything.
  const lookup = async (name: string): Promise<string[]> => names[name] ?? ['203.1.2.3']
  const check = async (address: string, allowPrivate = false): Promise<string[] | undefined> => {
    const checked = await checkNamedAddress(address, { allowPrivate, lookup })
    return checked && (checked.type === 'gateway' ? [checked.url.href] : checked.multiaddrs)
  }

  it.each([
    ['/ip4/203.1.2.3/tcp/4001', ['/ip4/203.1.2.3/tcp/4001']],
    ['/ip4/203.1.2.3/udp/4001/quic-v1/p2p/12D3', ['/ip4/203.1.2.3/udp/4001/quic-v1/p2p/12D3']],
    ['/ip4/203.1.2.3/tcp/80/http', ['http://203.1.2.3/']],
    ['/ip6/2a00::7/tcp/8080/http', ['http://[2a00::7]:8080/']],
    ['/dns4/public.example.org/tcp/443/https', ['https://public.example.org/']],
    ['/dns/public.example.org/tcp/443/tls/http/p2p/12D3', ['https://public.example.org/']],
    ['/dns4/public.example.org/tcp/4001', ['/ip4/203.1.2.3/tcp/4001', '/ip6/2a00::7/tcp/4001']],
    ['/dns4/public.example.org/tcp/443/tls/ws', ['/dns4/public.example.org/tcp/443/tls/ws']],
    ['/dns4/public.example.org/tcp/443/wss', ['/dns4/public.example.org/tcp/443/wss']],
  ])('%s may be used', async (address, used) => {
    expect(await check(address)).toEqual(used)
  })

  it.each([
    '/ip4/127.0.0.1/tcp/5001/http',
    '/ip4/127.1/tcp/5001/http',
    '/ip4/2130706433/tcp/5001/http',
    '/ip4/0.0.0.0/tcp/5001/http',
    '/dns4/localhost/tcp/5001/http',
    '/dns/127.0.0.1/tcp/5001/https',
    '/ip6/0:0:0:0:0:0:0:1/tcp/5001/http',
    '/ip6/::ffff:7f00:1/tcp/5001/http',
    '/ip6/::/tcp/5001/http',
    '/ip6/64:ff9b::7f00:1/tcp/1/http',
    '/ip6zone/lo/ip6/::1/tcp/22',
    '/dns4/user:pw@10.0.0.1/tcp/80/http',
    '/dns4/169.254.169.254#/tcp/80/https',
    '/dns4/public.example.org?/tcp/80/https',
    '/dns4/rebound.example.org/tcp/443/https',
    '/dns4/rebound.example.org/tcp/4001',
    '/dns4/mapped.example.org/tcp/443/wss',
    '/dns4/unknown.example.org/tcp/4001',
    // `fetch` would look it up again, and nothing would say that it is another host.
    '/dns4/public.example.org/tcp/80/http',
    '/dnsaddr/public.example.org',
    '/ip4/203.1.2.3/tcp/99999/http',
    '/ip4/203.1.2.3/tcp/4001/p2p/12D3/p2p-circuit',
    '/unix/tmp/socket',
    'nonsense',
  ])('%s may not', async (address) => {
    expect(await check(address)).toBeUndefined()
  })

  it('may be private where that is wanted, and is as strict for all else', async () => {
    expect(await check('/ip4/127.0.0.1/tcp/8080/http', true)).toEqual(['http://127.0.0.1:8080/'])
    expect(await check('/dns4/rebound.example.org/tcp/1/http', true)).toEqual(['http://rebound.example.org:1/'])
    expect(await check('/ip4/0.0.0.0/tcp/8080/http', true)).toBeUndefined()
    expect(await check('/dns4/localhost/tcp/8080/http', true)).toBeUndefined()
  })
})
