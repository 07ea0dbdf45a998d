/// The second half of what `GET /openapi.yaml` answers: the components that its paths refer to.

let openAPIComponents = """
    components:
      securitySchemes:
        token: {type: http, scheme: bearer, description: Only where the node is configured with `http.token`}
      parameters:
        Table: {name: table, in: path, required: true, schema: {type: string, pattern: "^[A-Za-z_][A-Za-z0-9_]{0,62}$"}}
        RowID: {name: id, in: path, required: true, description: Percent-encoded, schema: {type: string}}
        idType: {name: idType, in: query, schema: {enum: [text, integer], default: text}}
        limit: {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 10000, default: 100}}
        asOf: {name: asOf, in: query, description: A position or an instant in the past, schema: {type: string}}
        after: {name: after, in: query, description: Wait for this token or position, schema: {type: string}}
        consistency: {name: consistency, in: query, schema: {enum: [applied], default: applied}}
        timeout: {name: timeout, in: query, description: At most PT10M, schema: {type: string, format: duration}}
        await: {name: await, in: query, schema: {type: boolean, default: false}}
      responses:
        Well: {description: It is so, content: {application/json: {schema: {type: object}}}}
        Problem:
          description: RFC 9457
          content: {application/problem+json: {schema: {$ref: "#/components/schemas/Problem"}}}
      schemas:
        Problem:
          type: object
          required: [title, status, code, detail]
          properties:
            title: {type: string}
            status: {type: integer}
            code: {type: string, examples: [BAD_REQUEST, ID_CONFLICT, UNKNOWN_OUTCOME]}
            detail: {type: string}
            at: {type: string, description: JSON pointer into the request}
            next: {type: string, description: What to do next}
            runbook: {type: string, description: "The page to follow, by its path in the documentation"}
            id: {type: string, description: Of the submission whose outcome is unknown}
            expiresAt: {type: string, format: date-time}
            line: {type: integer, description: "Of a load's body, from 1"}
        Document:
          type: object
          required: [_id]
          properties: {_id: {type: [string, integer]}}
          description: |
            Timestamps and binary are {"@type":"timestamp","@value":"…"} and {"@type":"binary","@value":"<base64>"}.
        Submit:
          type: object
          additionalProperties: false
          required: [ops]
          properties:
            id: {type: string, pattern: "^[0-9a-fA-F]{32}$"}
            await: {type: boolean, default: true}
            timeout: {type: string, format: duration, default: PT10S}
            expiry: {type: string, format: duration, default: PT1M, description: At most PT5M}
            ops: {type: array, items: {$ref: "#/components/schemas/Operation"}}
        Operation:
          oneOf:
            - {type: object, additionalProperties: false, required: [put], properties: {put: {$ref: "#/components/schemas/Documents"}}}
            - {type: object, additionalProperties: false, required: [patch], properties: {patch: {$ref: "#/components/schemas/Documents"}}}
            - {type: object, additionalProperties: false, required: [delete], properties: {delete: {$ref: "#/components/schemas/IDs"}}}
            - {type: object, additionalProperties: false, required: [erase], properties: {erase: {$ref: "#/components/schemas/IDs"}}}
            - {type: object, additionalProperties: false, required: [assert], properties: {assert: {$ref: "#/components/schemas/Assert"}}}
        Documents:
          type: object
          additionalProperties: false
          required: [table, docs]
          properties: {table: {type: string}, docs: {type: array, items: {$ref: "#/components/schemas/Document"}}}
        IDs:
          type: object
          additionalProperties: false
          required: [table, ids]
          properties: {table: {type: string}, ids: {type: array, items: {type: [string, integer]}}}
        Assert:
          type: object
          additionalProperties: false
          description: Exactly one of `exists`, `version` and `equals`
          required: [table, id]
          properties:
            table: {type: string}
            id: {type: [string, integer]}
            exists: {type: boolean}
            version: {type: string}
            equals: {type: object}
        Transaction:
          type: object
          required: [id, status]
          properties:
            id: {type: string}
            status: {enum: [committed, aborted, cancelled, expired, pending]}
            position: {type: string}
            systemTime: {type: string, format: date-time}
            token: {type: string}
            expiresAt: {type: string, format: date-time}
            error:
              type: object
              properties: {code: {type: string}, op: {type: integer}, detail: {type: string}}
        Query:
          type: object
          additionalProperties: false
          required: [sql]
          properties:
            sql: {type: string}
            params: {type: [array, object]}
            asOf: {type: string}
            after: {type: string}
            consistency: {enum: [applied], default: applied}
            timeout: {type: string, format: duration}
        Rows:
          description: One that broke off behind its first rows has an error in the place of all that follows the rows
          type: object
          required: [columns, rows]
          properties:
            columns:
              type: array
              items:
                type: object
                required: [name, type]
                properties:
                  name: {type: string}
                  type: {enum: [integer, real, text, blob, timestamp, boolean, any]}
            rows: {type: array, items: {type: array}}
            position: {type: string}
            token: {type: string}
            asOf: {type: string}
            elapsedMs: {type: number}
            error: {$ref: "#/components/schemas/Problem"}
        Flush:
          type: object
          required: [block, position, noop]
          properties:
            block: {type: [integer, "null"]}
            position: {type: string}
            noop: {type: boolean, description: Nothing was there to cut; `block` is the newest one}
        Settings:
          type: object
          additionalProperties: false
          properties:
            rowsPerBlock: {type: integer, minimum: 1, maximum: 100000000}
            transactionsPerBlock: {type: integer, minimum: 1, maximum: 100000000}
            bytesPerBlock: {type: integer, minimum: 1024}
            flushDuration: {type: string, description: ISO 8601, examples: [PT4H]}
            idsRemembered: {type: integer, minimum: 1, maximum: 100000000}
            idsRememberedFor: {type: string, description: ISO 8601, examples: [PT24H]}
        SettingsAnswer:
          type: object
          required: [settings, configured, position]
          properties:
            settings: {$ref: "#/components/schemas/Settings"}
            configured: {$ref: "#/components/schemas/Settings"}
            position: {type: string}
            changed: {type: boolean, description: Of a change, whether anything was different}
        Block:
          type: object
          required: [number, first, last, transactions, rows, bytes, cut, systemTime, digest, files]
          properties:
            number: {type: integer}
            first: {type: [string, "null"]}
            last: {type: string}
            transactions: {type: integer}
            rows: {type: integer}
            bytes: {type: integer}
            cut: {enum: [rows, transactions, bytes, time, request, seal, settings, quarantine]}
            systemTime: {type: [string, "null"], format: date-time, description: The newest transaction's up to `last`}
            digest: {type: string}
            files:
              type: array
              items:
                type: object
                properties:
                  table: {type: string}
                  name: {type: string}
                  bytes: {type: integer}
                  rows: {type: integer}
                  digest: {type: string}
        Status:
          type: object
          required: [node, version, state]
          properties:
            node: {type: string}
            version: {type: string}
            database: {type: [string, "null"], format: uuid}
            state: {enum: [starting, ready, degraded, stopped]}
            error: {oneOf: [{$ref: "#/components/schemas/Problem"}, {type: "null"}]}
            warnings: {type: array, items: {type: string}}
            epoch: {type: [integer, "null"]}
            log: {type: [object, "null"]}
            applied: {type: [object, "null"]}
            adopted: {type: [object, "null"]}
            openBlock: {type: [object, "null"]}
            frozenBlocks: {type: integer}
            rpo: {type: [object, "null"]}
            lag: {type: [object, "null"]}
            peers:
              type: array
              description: The other nodes, as their files in storage show them to this one.
              items:
                type: object
                required: [node, state, silentMs]
                properties:
                  node: {type: string}
                  state: {enum: [watching, live, silent, stopped]}
                  silentMs: {type: integer}
                  epoch: {type: [integer, "null"]}
                  applied: {type: [string, "null"]}
                  block: {type: [integer, "null"]}
                  version: {type: [string, "null"]}
                  address: {type: [string, "null"]}
                  error: {type: [string, "null"]}

    """
