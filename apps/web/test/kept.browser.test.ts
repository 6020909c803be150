import { expect, it, onTestFinished } from 'vitest'

import { kept } from '../src/state/kept.ts'

/** Takes all the room that there is, to the last character. */
function fillStorage(): void {
  let text = 'x'.repeat(2 ** 24)
  while (text !== '') {
    try {
      localStorage.setItem('filler', (localStorage.getItem('filler') ?? '') + text)
    } catch {
      text = text.slice(0, Math.floor(text.length / 2))
    }
  }
}

it('has a setting for as long as the page where there is no room to keep it', () => {
  onTestFinished(() => localStorage.clear())
  fillStorage()
  const setting = kept('gateways', 'none', (value) => (typeof value === 'string' ? value : undefined))
  setting.value = 'https://gateway.example.org'
  expect(setting.value).toBe('https://gateway.example.org')
  expect(localStorage.getItem('ipfs-accelerate.gateways')).toBeNull()
})
