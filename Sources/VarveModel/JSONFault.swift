/// What is wrong with a JSON text: reason, place as a JSON pointer (RFC 6901) and as a byte offset.

public struct JSONFault: Error, Sendable, Equatable, CustomStringConvertible {
    public var reason: String
    /// JSON pointer to the value in question, from the start of what was scanned; "" is all of it.
    public var pointer: String
    /// Bytes from the start of what was scanned.
    public var offset: Int

    public init(reason: String, pointer: String = "", offset: Int = 0) {
        self.reason = reason
        self.pointer = pointer
        self.offset = offset
    }

    /// The same fault seen from around: `/ops/0/put/docs/3` before `/name`.
    public func prefixed(by outer: String) -> JSONFault {
        JSONFault(reason: reason, pointer: outer + pointer, offset: offset)
    }

    public var description: String { "\(reason) (at \(pointer.isEmpty ? "the top" : pointer), byte \(offset))" }

    /// `BAD_REQUEST` with the pointer in `at`.
    public var error: VarveError { VarveError(.badRequest, reason, at: pointer.isEmpty ? nil : pointer) }
}

/// A fault while scanning: two words, so that throwing costs the fast path nothing. The pointer is found afterwards.
struct ScanFault: Error {
    let reason: Reason
    let offset: Int

    enum Reason: String {
        case ends = "the JSON ends too early"
        case value = "expected a JSON value"
        case name = "expected a field name in double quotes"
        case colon = "expected a colon after the field name"
        case separator = "expected a comma or the end of the object or array"
        case rest = "something follows the JSON value"
        case control = "a control character in a string has to be escaped"
        case escape = "an unknown escape in a string"
        case surrogate = "a lone surrogate in a string"
        case utf8 = "a string is not UTF-8"
        case number = "a malformed number"
        case integerRange = "an integer outside int64; write a float with a fraction or an exponent"
        case floatRange = "a number too large for a float64"
        case duplicate = "this field name occurs twice in one object"
        case depth = "nested more than 64 deep"
        case typed =
            "an object with @type must be {\"@type\":\"timestamp\",\"@value\":\"…\"} or {\"@type\":\"binary\",\"@value\":\"…\"}"
        case timestamp =
            "no timestamp: RFC 3339 with an offset, a real date of the years 0001 to 9999, at most six fraction digits"
        case base64 = "no padded base64 (RFC 4648 section 4)"
        case absent = "{\"@type\":\"absent\"} stands only for a top-level field of a patch"
        case emptyName = "a field name must not be empty"
        case nulName = "a field name must not contain NUL"
        case longName = "a field name has more than 255 bytes"
        case reserved = "top-level field names that begin with _ are reserved"
        case object = "expected an object"
        case array = "expected an array"
        case missingID = "_id is missing"
        case id = "_id must be a non-empty text of at most 1,024 bytes or an int64"
        case differentID = "_id and the field that is to become it differ"
        case tooLong = "a JSON text of more than 512 MiB"
    }
}

extension ScanFault {
    /// With its pointer, found by walking over `base` again: everything before `offset` is known to be well-formed.
    func located(in base: UnsafePointer<UInt8>, count: Int) -> JSONFault {
        JSONFault(reason: reason.rawValue, pointer: jsonPointer(base, count, to: offset), offset: offset)
    }
}

/// The pointer to the value (or name) at `target`.
private func jsonPointer(_ base: UnsafePointer<UInt8>, _ count: Int, to target: Int) -> String {
    enum Step {
        case index(Int)
        case name(Range<Int>?)
    }
    var path: [Step] = []
    var at = 0
    let target = min(target, count)
    walk: while at <= target, at < count {
        switch base[at] {
        case UInt8(ascii: "\""):
            var end = at + 1
            while end < count, base[end] != UInt8(ascii: "\"") { end += base[end] == UInt8(ascii: "\\") ? 2 : 1 }
            if case .name(nil) = path.last, end < count, end < target || at == target {
                path[path.count - 1] = .name(at + 1..<end)
            }
            at = end
        case _ where at == target: break walk
        case UInt8(ascii: "{"): path.append(.name(nil))
        case UInt8(ascii: "["): path.append(.index(0))
        case UInt8(ascii: "}"), UInt8(ascii: "]"): _ = path.popLast()
        case UInt8(ascii: ","):
            switch path.last {
            case .index(let index): path[path.count - 1] = .index(index + 1)
            case .name: path[path.count - 1] = .name(nil)
            case nil: break
            }
        default: break
        }
        at += 1
    }
    var pointer = ""
    for step in path {
        switch step {
        case .index(let index): pointer += "/\(index)"
        case .name(nil): break
        case .name(let range?):
            let text = JSONText(start: range.lowerBound, end: range.upperBound, isEscaped: true)
            pointer += "/" + escapedForPointer(text.string(in: base))
        }
    }
    return pointer
}

/// RFC 6901: `~` and `/` inside one step of a pointer.
package func escapedForPointer(_ name: String) -> String {
    var escaped = ""
    for scalar in name.unicodeScalars {
        switch scalar {
        case "~": escaped += "~0"
        case "/": escaped += "~1"
        default: escaped.unicodeScalars.append(scalar)
        }
    }
    return escaped
}
