import type { JSX } from 'preact'

import { count } from '../../format/count.ts'
import { forgetToken, hasToken } from '../../state/server-access.ts'
import { askServer, server, type ServerState } from '../../state/server.ts'
import { TokenForm } from './token-form.tsx'

/** Whether the host of this page serves models; why not, and what can be done about it. */
export function ThisServer(): JSX.Element {
  const state = server.value
  return (
    <li class="stack">
      <div class="row spread">
        <div>
          <strong>This server</strong>
          <span class="hint wrap">{location.host}</span>
          <span class="hint wrap" role="status">
            {'reason' in state && `No models from there: ${state.reason}`}
          </span>
        </div>
        <span class="row">
          <ServerBadge state={state} />
          {state.kind === 'failed' && (
            <button type="button" onClick={() => void askServer()}>
              Ask again
            </button>
          )}
          {hasToken.value && (
            <button type="button" onClick={() => (forgetToken(), void askServer())}>
              Forget the token
            </button>
          )}
        </span>
      </div>
      {(state.kind === 'locked' || (state.kind === 'asking' && hasToken.value)) && <TokenForm />}
    </li>
  )
}

function ServerBadge({ state }: { state: ServerState }): JSX.Element {
  if (state.kind === 'there') return <span class="chip good">{`serves ${count(state.models.length, 'model')}`}</span>
  return <span class="chip quiet">{BADGES[state.kind]}</span>
}

const BADGES: Record<Exclude<ServerState['kind'], 'there'>, string> = {
  asking: 'asking…',
  locked: 'asks for a token',
  plain: 'serves no models',
  off: 'off: you are working offline',
  failed: 'not known',
}
