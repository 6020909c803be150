import { useSignal } from '@preact/signals'
import type { ComponentChildren, JSX } from 'preact'
import { useEffect } from 'preact/hooks'

import { count } from '../../format/count.ts'
import { formatBytes } from '../../format/format-bytes.ts'
import { CidText } from '../../parts/cid-text.tsx'
import { ErrorNotice } from '../../parts/notice.tsx'
import { readDetails, type ModelDetails } from '../../state/model-details.ts'
import { titleOf, type StoredModel } from '../../state/models.ts'

/** Licence, lineage, signatures and files of a model. */
export function DetailsOfModel({ model }: { model: StoredModel }): JSX.Element {
  const details = useSignal<ModelDetails | undefined>(undefined)
  const problem = useSignal<unknown>(undefined)
  useEffect(() => {
    readDetails(model.cid).then(
      (found) => (details.value = found),
      (error: unknown) => (problem.value = error),
    )
  }, [model.cid])
  const found = details.value
  if (problem.value !== undefined) return <ErrorNotice error={problem.value} />
  return (
    <>
      <dl class="details">
        <Row term="Licence">{model.licence ?? 'Its files do not say'}</Row>
        <Row term="Architecture">{model.architecture ?? 'Its files do not say'}</Row>
        <Row term="Published as">
          {model.origin ? `${model.origin.repo} at ${model.origin.revision.slice(0, 10)}` : 'Not known'}
        </Row>
        <Row term="Made from">
          {model.baseModels.length === 0 && found?.parents.length === 0 && 'Its files name no other model'}
          {model.baseModels.join(', ')}
          {found?.parents.map((parent) => (
            <CidText key={parent} cid={parent} of="a model that it was made from" />
          ))}
        </Row>
        <Row term="Signatures">
          {found?.signatures === 0 && 'None'}
          {found !== undefined && found.signatures > 0 && `${count(found.signatures, 'signature')}, not checked here`}
        </Row>
        <Row term="CID">
          <code class="wrap">{model.cid}</code>
        </Row>
        <Row term="Manifest">
          {found && <CidText cid={found.manifestCid} of={`the manifest of ${titleOf(model)}`} />}
        </Row>
      </dl>
      {found && (
        <div class="table-scroll" role="region" aria-label={`Files of ${titleOf(model)}`} tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">File</th>
                <th scope="col">Kind</th>
                <th scope="col" class="numbers">
                  Size
                </th>
              </tr>
            </thead>
            <tbody>
              {found.files.map(({ path, role, dtype, size }) => (
                <tr key={path}>
                  <td>
                    <code>{path}</code>
                  </td>
                  <td>{dtype === undefined ? role : `${role}, ${dtype}`}</td>
                  <td class="numbers">{formatBytes(size)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  )
}

const Row = ({ term, children }: { term: string; children: ComponentChildren }): JSX.Element => (
  <div>
    <dt>{term}</dt>
    <dd>{children}</dd>
  </div>
)
