import { describe, expect, it } from 'vitest'

import type { Environment } from '../src/index.ts'
import { CI_SERVICES, CI_VARIABLES, decideGates, detectCi } from '../src/index.ts'

const falseWords = ['0', 'false', 'no', 'off', 'FALSE', ' Off ']

describe.each(CI_SERVICES)('$name', ({ name, variable }) => {
  it('is known by its variable', () => {
    const decision = { isCi: true, service: name, variable }
    for (const value of ['true', '1', 'True', 'https://ci.example/', '2026.1']) {
      expect(detectCi({ [variable]: value })).toMatchObject({ ...decision, value })
      expect(detectCi({ CI: 'true', [variable]: value })).toMatchObject({ ...decision, value })
    }
    expect(detectCi({ [variable]: 'true' }).reason).toContain(name)
  })

  it.each(['', '  ', ...falseWords])('is not known by its variable when that is %j', (value) => {
    expect(detectCi({ [variable]: value }).isCi).toBe(false)
  })

  it.each(falseWords)('is not CI when CI=%s says so', (value) => {
    expect(detectCi({ CI: value, [variable]: 'true' })).toMatchObject({
      isCi: false,
      variable: 'CI',
      value: value.trim(),
    })
  })

  it('is still CI when CI is empty, which is unset', () => {
    expect(detectCi({ CI: '', [variable]: 'true' }).isCi).toBe(true)
  })
})

describe('a service that is not in the table', () => {
  it.each(CI_VARIABLES)('is known by %s', (variable) => {
    for (const value of ['true', '1', 'True', 'woodpecker', 'yes']) {
      expect(detectCi({ [variable]: value })).toMatchObject({ isCi: true, service: undefined, variable, value })
    }
    for (const value of ['', ' ', ...falseWords]) expect(detectCi({ [variable]: value }).isCi).toBe(false)
  })
})

describe('not CI', () => {
  const environments: readonly (readonly [string, Environment])[] = [
    ['nothing set', {}],
    ['a person at a terminal', { HOME: '/home/ada', TERM: 'xterm', SHELL: '/bin/sh', BUILD_NUMBER: '7', RUN_ID: '7' }],
    ['a function on Vercel', { VERCEL: '1', VERCEL_ENV: 'production', NOW_REGION: 'fra1' }],
    ['a function on Netlify', { NETLIFY: 'true', SITE_ID: 'x' }],
    ['a dyno on Heroku', { DYNO: 'web.1', PORT: '5000' }],
    ['a service on Render', { RENDER: 'true', RENDER_SERVICE_ID: 'srv-x' }],
    ['a function on AWS', { AWS_LAMBDA_FUNCTION_NAME: 'f', AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x' }],
    ['a Kubernetes pod', { KUBERNETES_SERVICE_HOST: '10.0.0.1' }],
    ['CI=false', { CI: 'false' }],
  ]

  it.each(environments)('%s', (_what, environment) => {
    expect(detectCi(environment).isCi).toBe(false)
    expect(decideGates({ environment }).features.kubo).toMatchObject({ position: 'prefer', source: 'default' })
  })

  it('is only CI on Vercel when CI says so, as it does while building', () => {
    expect(detectCi({ VERCEL: '1', CI: '1' })).toMatchObject({ isCi: true, variable: 'CI' })
  })
})

it('tells Gitea from GitHub, whose variable it also sets', () => {
  expect(detectCi({ GITHUB_ACTIONS: 'true', GITEA_ACTIONS: 'true' }).service).toBe('Gitea Actions')
})
