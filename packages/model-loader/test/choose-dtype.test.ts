import { describe, expect, it } from 'vitest'

import { chooseDtype, DTYPES, sessionOf } from '../src/index.ts'

const files = (...names: string[]): string[] => ['config.json', ...names.map((name) => `onnx/${name}`)]
const configured = (dtype: unknown, more: object = {}): object => ({ 'transformers.js_config': { dtype, ...more } })

describe('of one session', () => {
  it.each<[string, unknown, string[], string, string]>([
    ['fp32 when it is there', {}, files('model_quantized.onnx', 'model.onnx'), 'fp32', 'the most exact of fp32, q8'],
    [
      'else the most exact',
      {},
      files('model_q4.onnx', 'model_quantized.onnx', 'model_bnb4.onnx'),
      'q8',
      'q8, q4, bnb4',
    ],
    ['what config.json says', configured('q8'), files('model.onnx', 'model_quantized.onnx'), 'q8', 'config.json says'],
    ['per session too', configured({ model: 'q4' }), files('model.onnx', 'model_q4.onnx'), 'q4', 'config.json says'],
    ['but not what is absent', configured('fp16'), files('model.onnx'), 'fp32', 'says fp16, which is not there'],
    ['nor what is no dtype', configured('fp64'), files('model.onnx'), 'fp32', 'the most exact of fp32'],
    ['nor from a config that is nothing', null, files('model_q4f16.onnx'), 'q4f16', 'the most exact'],
  ])('%s', (_about, config, paths, dtype, reason) => {
    const chosen = chooseDtype(config, paths)
    expect(chosen.dtype).toEqual({ model: dtype })
    expect(chosen.reason).toContain(reason)
  })

  it('what the caller wants, or nothing', () => {
    const paths = files('model.onnx', 'model_quantized.onnx')
    expect(chooseDtype(configured('fp32'), paths, { dtype: 'q8' })).toEqual({
      dtype: { model: 'q8' },
      files: ['onnx/model_quantized.onnx'],
      reason: 'model: q8, as asked',
    })
    const choose = (): unknown => chooseDtype({}, paths, { dtype: 'q4' })
    expect(choose).toThrowError('the model has no onnx/model_q4.onnx (q4); there is fp32, q8')
    expect(choose).toThrowError(expect.objectContaining({ code: 'NOT_FOUND', what: 'onnx/model_q4.onnx' }))
  })
})

it('chooses for each of several sessions by itself', () => {
  const paths = files('encoder_model.onnx', 'decoder_model_merged_quantized.onnx', 'decoder_model_merged_q4.onnx')
  expect(chooseDtype({}, paths)).toMatchObject({
    dtype: { encoder_model: 'fp32', decoder_model_merged: 'q8' },
    files: ['onnx/decoder_model_merged_quantized.onnx', 'onnx/encoder_model.onnx'],
  })
})

it('looks for the sessions that the architecture has, and says which is missing', () => {
  const paths = files('encoder_model.onnx', 'decoder_model.onnx')
  expect(chooseDtype({}, paths, { sessions: ['encoder_model'] }).dtype).toEqual({ encoder_model: 'fp32' })
  expect(() => chooseDtype({}, paths, { sessions: ['encoder_model', 'decoder_model_merged'] })).toThrowError(
    'the model has no onnx/decoder_model_merged.onnx',
  )
})

it('says that there is no ONNX file at all', () => {
  expect(() => chooseDtype({}, ['config.json', 'model.safetensors', 'model.onnx'])).toThrowError(
    'no ONNX file in onnx/',
  )
})

describe('external data', () => {
  it('is among the files when it is there', () => {
    const paths = files('model.onnx', 'model.onnx_data', 'model.onnx_data_1', 'model_q4.onnx', 'model_q4.onnx_data')
    expect(chooseDtype({}, paths).files).toEqual(['onnx/model.onnx', 'onnx/model.onnx_data', 'onnx/model.onnx_data_1'])
  })

  it.each([true, 1, { model: 1 }, { 'model.onnx': true }])('is missed when config.json says %j', (format) => {
    const config = configured(undefined, { use_external_data_format: format })
    expect(chooseDtype(config, files('model.onnx', 'model.onnx_data')).files).toHaveLength(2)
    expect(() => chooseDtype(config, files('model.onnx'))).toThrowError(
      'no onnx/model.onnx_data, which its config.json',
    )
  })

  it.each([false, 0, {}, { 'model_q4.onnx': 1 }, null, undefined])('is not missed when it says %j', (format) => {
    const config = configured(undefined, { use_external_data_format: format })
    expect(chooseDtype(config, files('model.onnx')).files).toEqual(['onnx/model.onnx'])
  })
})

it.each([
  ['onnx/model.onnx', 'model'],
  ['onnx/model_quantized.onnx', 'model'],
  ['onnx/model_q4f16.onnx', 'model'],
  ['onnx/decoder_model_merged_fp16.onnx', 'decoder_model_merged'],
  ['onnx/model.onnx_data', undefined],
  ['onnx/old/model.onnx', undefined],
  ['model.onnx', undefined],
])('%s is of session %s', (path, session) => {
  expect(sessionOf(path)).toBe(session)
})

it('orders dtypes from the most exact', () => {
  expect(DTYPES.slice(0, 3)).toEqual(['fp32', 'fp16', 'q8'])
  expect(new Set(DTYPES).size).toBe(12)
})
