/// `POST /v1/transactions`: operations and how long to wait for what becomes of them.
///
/// Read token by token; documents go straight from JSON to their stored bytes.

package import VarveModel

package struct SubmitRequest: Sendable, Equatable {
    /// The client's own; nil leaves it to the server, and then a retry is another submission.
    package var id: SubmissionID?
    /// Whether to answer with the outcome, or as soon as the submission is on its way.
    package var awaitsOutcome: Bool
    package var transaction: Transaction
    /// How long to wait for the outcome; then it is unknown.
    package var timeout: Duration
    /// For how long it may still be applied, in time of the log; nil is the node's default.
    package var expiry: Duration?

    package static let timeoutDefault = Duration.seconds(10)
    package static let expiryMax = Duration.seconds(300)

    package init(
        _ transaction: Transaction, id: SubmissionID? = nil, awaitsOutcome: Bool = true,
        timeout: Duration = Self.timeoutDefault, expiry: Duration? = nil
    ) {
        self.transaction = transaction
        self.id = id
        self.awaitsOutcome = awaitsOutcome
        self.timeout = timeout
        self.expiry = expiry
    }

    /// Throws `BAD_REQUEST` with the place of the fault.
    package init(json: [UInt8]) throws(VarveError) {
        let read: Result<SubmitRequest, JSONFault> = json.withUnsafeBytes { raw in
            do throws(JSONFault) {
                var reader = JSONReader(raw)
                let request = try SubmitRequest(&reader)
                try reader.expectEnd()
                return .success(request)
            } catch {
                return .failure(error)
            }
        }
        switch read {
        case .success(let request): self = request
        case .failure(let fault): throw fault.error
        }
    }

    private init(_ reader: inout JSONReader) throws(JSONFault) {
        self.init(Transaction([]))
        var seen = SeenNames()
        try reader.beginObject()
        while let name = try reader.nextField() {
            try seen.insert(name, &reader)
            switch name {
            case "id":
                let offset = reader.offset
                guard let id = SubmissionID(hex: try reader.text()) else {
                    throw reader.fault("id must be 32 hexadecimal digits", at: offset)
                }
                self.id = id
            case "await": awaitsOutcome = try reader.bool()
            case "timeout": timeout = try reader.duration(name, most: ReadParameters.timeoutMax)
            case "expiry": expiry = try reader.duration(name, most: Self.expiryMax)
            case "ops":
                try reader.beginArray()
                while try reader.nextElement() {
                    transaction.operations.append(try Operation(&reader))
                }
            default: throw reader.fault("unknown field \"\(name)\"")
            }
        }
        guard seen.contains("ops") else { throw JSONFault(reason: "ops is missing", pointer: "/ops") }
    }

    /// What a client sends. Throws `INTERNAL` when an operation holds what is no document.
    package func json() throws(VarveError) -> [UInt8] {
        var writer = JSONWriter(reservingCapacity: 256)
        writer.raw("{")
        if let id { writer.raw(#""id":"\#(id)","#) }
        if !awaitsOutcome { writer.raw(#""await":false,"#) }
        if timeout != Self.timeoutDefault { writer.raw(#""timeout":"\#(isoText(of: timeout))","#) }
        if let expiry { writer.raw(#""expiry":"\#(isoText(of: expiry))","#) }
        writer.raw(#""ops":["#)
        for (i, operation) in transaction.operations.enumerated() {
            if i > 0 { writer.raw(",") }
            do throws(CBORFault) {
                try operation.write(to: &writer)
            } catch {
                throw VarveError(.internal, "operation \(i) holds what is no document: \(error)", at: "/ops/\(i)")
            }
        }
        writer.raw("]}")
        return writer.bytes
    }
}

/// The names read so far of one object of an envelope: a handful.
struct SeenNames {
    private var names: [String] = []

    /// A repeated name is a fault.
    mutating func insert(_ name: String, _ reader: inout JSONReader) throws(JSONFault) {
        guard !names.contains(name) else { throw reader.fault("\(name) occurs twice in one object") }
        names.append(name)
    }

    func contains(_ name: String) -> Bool { names.contains(name) }
}

extension JSONReader {
    mutating func duration(_ name: String, most: Duration) throws(JSONFault) -> Duration {
        let offset = offset
        do throws(VarveError) {
            return try checkedTimeout(try textForEnvelope(), named: name, most: most, at: "")
        } catch {
            throw fault(error.message, at: offset)
        }
    }

    private mutating func textForEnvelope() throws(VarveError) -> String {
        do throws(JSONFault) { return try text() } catch { throw error.error }
    }
}
