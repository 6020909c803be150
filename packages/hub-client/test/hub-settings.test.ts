import { describe, expect, it } from 'vitest'

import { cleanToken, hubSettings } from '../src/index.ts'

describe('the environment', () => {
  const options = { homeDirectory: '/home/u' }

  it('says nothing', () => {
    expect(hubSettings({}, options)).toEqual({
      endpoint: undefined,
      token: undefined,
      tokenPath: '/home/u/.cache/huggingface/token',
      offline: false,
      home: '/home/u/.cache/huggingface',
      cacheDirectory: '/home/u/.cache/huggingface/hub',
    })
    expect(hubSettings({})).toMatchObject({ home: undefined, cacheDirectory: undefined, tokenPath: undefined })
  })

  it.each([
    [{ XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
    [{ XDG_CACHE_HOME: '/x', HF_HOME: '/h' }, '/h/hub'],
    [{ HF_HOME: '~/h' }, '/home/u/h/hub'],
    [{ HF_HOME: '$DISK/h', DISK: '/d' }, '/d/h/hub'],
    [{ HF_HOME: '${DISK}/h/', DISK: '/d' }, '/d/h/hub'],
    [{ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/c' }, '/c'],
    [{ HUGGINGFACE_HUB_CACHE: '/c', HF_HUB_CACHE: '$NONE/~x' }, '$NONE/~x'],
    [{ HF_HOME: '' }, '/home/u/.cache/huggingface/hub'],
  ])('%j puts the cache at %s', (environment, directory) => {
    expect(hubSettings(environment, options).cacheDirectory).toBe(directory)
  })

  it.each([
    [{ HF_TOKEN: ' a\n', HUGGING_FACE_HUB_TOKEN: 'b' }, 'a', undefined],
    [{ HUGGING_FACE_HUB_TOKEN: 'b' }, 'b', undefined],
    [{ HF_TOKEN: '', HF_TOKEN_PATH: '~/t' }, undefined, '/home/u/t'],
    [{ HF_HOME: '/h' }, undefined, '/h/token'],
    [{ HF_TOKEN: 'a', HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }, undefined, undefined],
  ])('%j gives the token %s, or one in %s', (environment, token, tokenPath) => {
    expect(hubSettings(environment, options)).toMatchObject({ token, tokenPath })
  })

  it.each([
    ['1', true],
    ['yes', true],
    ['ON', true],
    ['True', true],
    ['0', false],
    ['', false],
    ['2', false],
  ])('HF_HUB_OFFLINE=%s', (HF_HUB_OFFLINE, offline) => {
    expect(hubSettings({ HF_HUB_OFFLINE }).offline).toBe(offline)
  })

  it('takes TRANSFORMERS_OFFLINE where the other is empty', () => {
    expect(hubSettings({ TRANSFORMERS_OFFLINE: '1' }).offline).toBe(true)
    expect(hubSettings({ HF_HUB_OFFLINE: '0', TRANSFORMERS_OFFLINE: '1' }).offline).toBe(false)
  })

  it('names an endpoint', () => {
    expect(hubSettings({ HF_ENDPOINT: 'http://127.0.0.1:9/hub//' }).endpoint).toBe('http://127.0.0.1:9/hub')
  })

  it('has tokens with line ends', () => {
    expect(cleanToken('\r\n hf_x\r\n')).toBe('hf_x')
    expect(cleanToken('\n')).toBeUndefined()
  })
})
