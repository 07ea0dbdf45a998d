/// What `GET /openapi.yaml` answers. Written by hand beside the routes; a test holds it and `Route` together.
///
/// Layout that the test relies on: paths at two spaces, methods at four, a query parameter either `{name: …, in: query`
/// on one line or a reference to a component named like it.

import VarveNode

package let openAPIDocument = """
    openapi: 3.1.0
    info:
      title: Varve
      version: "\(Node.version)"
      license: {name: Apache-2.0, identifier: Apache-2.0}
      description: |
        An immutable, time-travelling document and SQL database that is nothing but a log and a directory of files.
        Unknown fields in a request are refused with their path; unknown fields in an answer are to be ignored.
        Positions are `epoch-offset` (`0-123`), tokens a position and 16 hexadecimal digits, instants ISO 8601 with
        microseconds and `Z`, durations ISO 8601 (`PT10S`).
    security:
      - token: []
    paths:
      /:
        get:
          summary: The dashboard, a page that holds no data and asks the other routes
          security: []
          responses: {"200": {description: A page, content: {text/html: {schema: {type: string}}}}}
      /openapi.yaml:
        get:
          summary: This document
          responses: {"200": {description: OpenAPI 3.1, content: {application/yaml: {schema: {type: string}}}}}
      /metrics:
        get:
          summary: Metrics as Prometheus text
          responses: {"200": {description: Prometheus text 0.0.4, content: {text/plain: {schema: {type: string}}}}}
      /healthz/started:
        get:
          summary: Whether the node has read the log it started with
          security: []
          responses: {"200": {$ref: "#/components/responses/Well"}, "503": {$ref: "#/components/responses/Problem"}}
      /healthz/alive:
        get:
          summary: Whether the node is to be left running; false once it has refused or stopped
          security: []
          responses: {"200": {$ref: "#/components/responses/Well"}, "503": {$ref: "#/components/responses/Problem"}}
      /healthz/ready:
        get:
          summary: Whether the node serves
          security: []
          responses: {"200": {$ref: "#/components/responses/Well"}, "503": {$ref: "#/components/responses/Problem"}}
      /v1/transactions:
        post:
          summary: Submit a transaction
          description: |
            Answered when this node has applied it: the status is an outcome, and `aborted` is one. 504
            `UNKNOWN_OUTCOME` has the id to resolve. The same id and operations again give the first outcome.
          requestBody:
            required: true
            content: {application/json: {schema: {$ref: "#/components/schemas/Submit"}}}
          responses:
            "200":
              description: Decided
              content: {application/json: {schema: {$ref: "#/components/schemas/Transaction"}}}
            "202":
              description: On its way (`await` is false)
              content: {application/json: {schema: {$ref: "#/components/schemas/Transaction"}}}
            default: {$ref: "#/components/responses/Problem"}
        get:
          summary: Decided submissions, oldest first
          parameters:
            - {name: since, in: query, description: Exclusive, schema: {type: string, default: 0-0}}
            - $ref: "#/components/parameters/limit"
            - $ref: "#/components/parameters/asOf"
            - $ref: "#/components/parameters/after"
            - $ref: "#/components/parameters/consistency"
            - $ref: "#/components/parameters/timeout"
          responses:
            "200":
              description: Each decided submission once
              content:
                application/json:
                  schema:
                    type: object
                    required: [transactions, next]
                    properties:
                      transactions: {type: array, items: {$ref: "#/components/schemas/Transaction"}}
                      next: {type: string, description: The `since` to go on with}
            default: {$ref: "#/components/responses/Problem"}
      /v1/transactions/{id}:
        get:
          summary: What became of a submission
          description: 404 proves nothing. `resolve=true` decides it now, by a cancel in the log.
          parameters:
            - {name: id, in: path, required: true, schema: {type: string, pattern: "^[0-9a-fA-F]{32}$"}}
            - {name: resolve, in: query, schema: {type: boolean, default: false}}
            - $ref: "#/components/parameters/after"
            - $ref: "#/components/parameters/timeout"
          responses:
            "200":
              description: Decided or pending
              content: {application/json: {schema: {$ref: "#/components/schemas/Transaction"}}}
            default: {$ref: "#/components/responses/Problem"}
      /v1/tables:
        get:
          summary: Tables with their columns
          parameters:
            - $ref: "#/components/parameters/asOf"
            - $ref: "#/components/parameters/after"
            - $ref: "#/components/parameters/consistency"
            - $ref: "#/components/parameters/timeout"
          responses:
            "200":
              description: By name
              content:
                application/json:
                  schema:
                    type: object
                    required: [tables]
                    properties:
                      tables:
                        type: array
                        items:
                          type: object
                          required: [name, rows, columns]
                          properties:
                            name: {type: string}
                            rows: {type: integer}
                            columns: {type: array, items: {type: string}}
            default: {$ref: "#/components/responses/Problem"}
      /v1/tables/{table}/rows:
        post:
          summary: Load rows, one document a line
          description: |
            Batches are submitted while the body still comes in. A fault in the first batch is a plain problem; later it
            is the last line. Repeated with the same `Varve-Load-Id` nothing is applied twice.
          parameters:
            - $ref: "#/components/parameters/Table"
            - {name: Varve-Load-Id, in: header, schema: {type: string, pattern: "^[0-9a-fA-F]{32}$"}}
            - {name: batch, in: query, schema: {type: integer, minimum: 1, maximum: 100000, default: 1000}}
            - {name: id, in: query, description: The field to take as `_id`, schema: {type: string}}
          requestBody:
            required: true
            description: Content-Encoding gzip is accepted
            content: {application/x-ndjson: {schema: {$ref: "#/components/schemas/Document"}}}
          responses:
            "200":
              description: One line for each transaction, in order; a last line `{"error":…}` when the load ended early
              content:
                application/x-ndjson:
                  schema:
                    oneOf:
                      - allOf:
                          - $ref: "#/components/schemas/Transaction"
                          - {type: object, properties: {batch: {type: integer}, rows: {type: integer}}}
                      - {type: object, properties: {error: {$ref: "#/components/schemas/Problem"}}}
            default: {$ref: "#/components/responses/Problem"}
      /v1/tables/{table}/rows/{id}:
        get:
          summary: One document
          parameters:
            - $ref: "#/components/parameters/Table"
            - $ref: "#/components/parameters/RowID"
            - $ref: "#/components/parameters/idType"
            - $ref: "#/components/parameters/asOf"
            - $ref: "#/components/parameters/after"
            - $ref: "#/components/parameters/consistency"
            - $ref: "#/components/parameters/timeout"
          responses:
            "200":
              description: With its `_id`
              headers:
                Varve-Position: {description: The applied position that was read at, schema: {type: string}}
                Varve-Token: {description: To read on from there, on any node, schema: {type: string}}
                Varve-Age-Ms: {description: Since this node last read a record, schema: {type: integer}}
                Varve-As-Of: {description: With `asOf` the position it came to, schema: {type: string}}
                Varve-Version: {description: The position that wrote the document, schema: {type: string}}
                Varve-System-From: {description: Since when it holds, schema: {type: string, format: date-time}}
              content: {application/json: {schema: {$ref: "#/components/schemas/Document"}}}
            default: {$ref: "#/components/responses/Problem"}
      /v1/tables/{table}/rows/{id}/history:
        get:
          summary: All versions of a document, newest first
          parameters:
            - $ref: "#/components/parameters/Table"
            - $ref: "#/components/parameters/RowID"
            - $ref: "#/components/parameters/idType"
            - $ref: "#/components/parameters/limit"
            - $ref: "#/components/parameters/asOf"
            - $ref: "#/components/parameters/after"
            - $ref: "#/components/parameters/consistency"
            - $ref: "#/components/parameters/timeout"
          responses:
            "200":
              description: Deletions are versions
              content:
                application/json:
                  schema:
                    type: object
                    required: [versions]
                    properties:
                      versions:
                        type: array
                        items:
                          type: object
                          required: [version, systemFrom, systemTo, deleted, doc]
                          properties:
                            version: {type: string}
                            systemFrom: {type: string, format: date-time}
                            systemTo: {type: [string, "null"], format: date-time}
                            deleted: {type: boolean}
                            doc: {oneOf: [{$ref: "#/components/schemas/Document"}, {type: "null"}]}
            default: {$ref: "#/components/responses/Problem"}
      /v1/query:
        post:
          summary: One SELECT
          requestBody:
            required: true
            content: {application/json: {schema: {$ref: "#/components/schemas/Query"}}}
          responses:
            "200":
              description: |
                JSON, or with `Accept: application/x-ndjson` one object a line. When it breaks after the first byte, JSON
                ends with a cut connection, NDJSON with a line `{"error":…}`.
              content:
                application/json: {schema: {$ref: "#/components/schemas/Rows"}}
                application/x-ndjson: {schema: {type: object}}
            default: {$ref: "#/components/responses/Problem"}
      /v1/status:
        get:
          summary: Where this node stands
          responses:
            "200":
              description: What is not known yet is null
              content: {application/json: {schema: {$ref: "#/components/schemas/Status"}}}
      /v1/blocks:
        get:
          summary: Adopted blocks, newest first
          parameters:
            - $ref: "#/components/parameters/limit"
            - {name: before, in: query, description: Only blocks below this number, schema: {type: integer, minimum: 0}}
          responses:
            "200":
              description: Blocks with their files
              content:
                application/json:
                  schema:
                    type: object
                    required: [blocks]
                    properties: {blocks: {type: array, items: {$ref: "#/components/schemas/Block"}}}
            default: {$ref: "#/components/responses/Problem"}
      /v1/epochs:
        get:
          summary: The epochs of the log, oldest first
          responses:
            "200":
              description: The last one is the present one
              content:
                application/json:
                  schema:
                    type: object
                    required: [epochs]
                    properties:
                      epochs:
                        type: array
                        items:
                          type: object
                          required: [epoch, began, log, end, unindexedLost]
                          properties:
                            epoch: {type: integer}
                            began: {enum: [initial, sealed, lost, restored]}
                            log: {type: object, properties: {kind: {type: string}, topic: {type: string}}}
                            end: {type: [string, "null"]}
                            unindexedLost: {type: [integer, "null"]}
            default: {$ref: "#/components/responses/Problem"}
      /v1/epochs/migrate:
        post:
          summary: Move to a new log with all nodes running
          description: Prepares the target and asks every live node first; until the seal nothing is changed (409 TARGET_UNFIT, with every reason).
          parameters:
            - $ref: "#/components/parameters/timeout"
          requestBody:
            required: true
            content:
              application/json:
                schema:
                  type: object
                  additionalProperties: false
                  properties:
                    topic: {type: string, description: Name of the new log without its epoch}
                    cluster: {type: string, description: A name in the nodes' section log.clusters}
                    dryRun: {type: boolean}
          responses:
            "200":
              description: This node is in the new epoch; seal is null for a rehearsal
              content:
                application/json:
                  schema:
                    type: object
                    required: [epoch, seal, log]
                    properties:
                      epoch: {type: integer}
                      seal: {type: [string, "null"]}
                      log: {type: object, properties: {kind: {type: string}, topic: {type: string}}}
            default: {$ref: "#/components/responses/Problem"}
      /v1/flush:
        post:
          summary: Cut the open block now
          parameters:
            - $ref: "#/components/parameters/await"
            - $ref: "#/components/parameters/timeout"
          responses:
            "200":
              description: This node has adopted the block
              content: {application/json: {schema: {$ref: "#/components/schemas/Flush"}}}
            "202":
              description: Asked for (without `await`)
              content: {application/json: {schema: {$ref: "#/components/schemas/Flush"}}}
            default: {$ref: "#/components/responses/Problem"}
      /v1/settings:
        get:
          summary: What every node follows, and what this node's configuration says
          responses:
            "200":
              description: In force at `position`
              content: {application/json: {schema: {$ref: "#/components/schemas/SettingsAnswer"}}}
            default: {$ref: "#/components/responses/Problem"}
        post:
          summary: Change settings, on every node at the same place of the log
          description: What is not named stays. The record closes the open block. Nothing is appended when the settings hold already.
          parameters:
            - $ref: "#/components/parameters/timeout"
          requestBody:
            required: true
            content: {application/json: {schema: {$ref: "#/components/schemas/Settings"}}}
          responses:
            "200":
              description: This node has read the change back
              content: {application/json: {schema: {$ref: "#/components/schemas/SettingsAnswer"}}}
            default: {$ref: "#/components/responses/Problem"}
      /system/finish-block:
        post:
          summary: The same as /v1/flush
          parameters:
            - $ref: "#/components/parameters/await"
            - $ref: "#/components/parameters/timeout"
          responses:
            "200":
              description: This node has adopted the block
              content: {application/json: {schema: {$ref: "#/components/schemas/Flush"}}}
            default: {$ref: "#/components/responses/Problem"}

    """ + openAPIComponents
