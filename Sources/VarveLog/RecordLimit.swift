/// The largest record of an in-process log, in bytes: that of the topics we create, so that a transaction fits any log.

import VarveModel

let logRecordBytesMax = 16 << 20

extension VarveError {
    static func oversize(_ record: Bytes) -> VarveError? {
        guard record.count > logRecordBytesMax else { return nil }
        return VarveError(
            .oversize, "a record of \(record.count) bytes is above this log's limit of \(logRecordBytesMax)",
            next: "split the transaction")
    }
}
