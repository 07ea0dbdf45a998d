/// A decision as a row of the table `varve.transactions`: key is the submission id's 32 digits, version its position.

package import VarveModel

extension Decision {
    package var key: Key { Key(id.description)! }

    /// Fields: `chain`, `code`, `detail`, `outcome`, `operation`, `effective_time`, `request_digest`; those of an abort
    /// only when it is one.
    package var document: Bytes {
        var writer = CBORWriter(reservingCapacity: 160)
        writer.map(3 + (failure == nil ? 0 : 3) + (requestDigest == nil ? 0 : 1))
        // In the order of their encoded names: shorter ones first.
        if let failure {
            writer.text("code")
            writer.text(failure.code.rawValue)
        }
        writer.text("chain")
        var prefix: [UInt8] = []
        for shift in stride(from: 56, through: 0, by: -8) {
            prefix.append(UInt8(truncatingIfNeeded: chainPrefix >> shift))
        }
        writer.byteString(prefix)
        if let failure {
            writer.text("detail")
            writer.text(failure.detail)
        }
        writer.text("outcome")
        writer.text(outcome.description)
        if let failure {
            writer.text("operation")
            writer.unsigned(failure.operation)
        }
        writer.text("effective_time")
        writer.integer(effectiveTime)
        if let requestDigest {
            writer.text("request_digest")
            writer.byteString(requestDigest)
        }
        return Bytes(writer.bytes)
    }

    /// Reads a row of `varve.transactions` back; nil when it is none.
    package init?(key: Key, position: Position, systemTime: Instant, document: Bytes) {
        guard case .text(let text) = key.id, let id = SubmissionID(hex: text) else { return nil }
        var outcome: Outcome?
        var effectiveTime: Int64?
        var digest: Bytes16?
        var prefix: UInt64?
        var code: String?
        var detail: String?
        var operation: Int?
        var reader = CBORReader(document)
        do throws(CBORFault) {
            for _ in 0..<(try reader.map()) {
                switch try reader.text() {
                case "chain": prefix = try reader.byteString().array.reduce(0) { $0 << 8 | UInt64($1) }
                case "code": code = try reader.text()
                case "detail": detail = try reader.text()
                case "operation": operation = try reader.unsigned(as: Int.self)
                case "outcome": outcome = Outcome(name: try reader.text())
                case "effective_time": effectiveTime = try reader.integer()
                case "request_digest": digest = try reader.bytes16()
                default: try reader.skip()
                }
            }
        } catch { return nil }
        guard let outcome, let effectiveTime, let prefix else { return nil }
        var failure: Failure?
        if let code, let detail, let operation {
            failure = Failure(code: ErrorCode(stored: code), operation: operation, detail: detail)
        }
        self.init(
            id: id, position: position, systemTime: systemTime, effectiveTime: effectiveTime, outcome: outcome,
            requestDigest: digest, failure: failure, chainPrefix: prefix)
    }
}
