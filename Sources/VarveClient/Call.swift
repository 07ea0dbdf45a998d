// One request as it is sent to whichever node answers, and what came back.

import VarveModel
import VarveWire

struct Call: Sendable {
    var method: String
    /// Path and query, percent-encoded.
    var target: String
    var headers: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// How long its answer may take to begin.
    var timeout: Duration

    static let json = (name: "Content-Type", value: "application/json")
}

struct Reply: Sendable {
    var status: Int
    /// Names in lower case.
    var headers: [String: String]
    var body: [UInt8]
    /// Who answered.
    var node: NodeURL

    /// The error a reply of 400 and above is.
    var error: VarveError? {
        guard status >= 400 else { return nil }
        guard let value = try? parseJSON(Bytes(body)), let problem = try? Problem(json: value) else {
            return VarveError(
                .internal, "\(node.text) answered with status \(status) and no reason",
                next: "check that it is a node of Varve: varve status --url \(node.text)")
        }
        var error = problem.error
        error.id = problem.id
        error.expiresAt = problem.expiresAt
        return error
    }

    func json() throws(VarveError) -> Value {
        do throws(JSONFault) {
            return try parseJSON(Bytes(body))
        } catch {
            throw VarveError(.internal, "\(node.text) answered with what is no JSON: \(error.reason)")
        }
    }
}

/// A call that brought no answer.
struct CallFailure: Error {
    var error: VarveError
    /// Something of it may have been received, so it may have had an effect.
    var mayHaveArrived: Bool
    /// Not to be tried again: part of the answer was handed on already.
    var isFinal = false
    /// What the reader of the answer threw.
    var thrown: (any Error)?
}

/// Percent-encodes all but letters, digits, `-`, `.`, `_` and `~`.
func percentEncoded(_ text: some StringProtocol) -> String {
    var out: [UInt8] = []
    let digits = Array("0123456789ABCDEF".utf8)
    for byte in text.utf8 {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e: out.append(byte)
        default: out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: out, as: UTF8.self)
}

/// `?a=b&c=d`, or nothing.
func queryText(_ items: [(name: String, value: String)]) -> String {
    items.isEmpty
        ? "" : "?" + items.map { "\(percentEncoded($0.name))=\(percentEncoded($0.value))" }.joined(separator: "&")
}
