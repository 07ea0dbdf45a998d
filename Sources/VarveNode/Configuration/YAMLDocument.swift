// The one owner of libyaml: bytes in, a tree of nodes with their lines out.
//
// What YAML allows and a configuration file must not hold is refused here, with its line: anchors, aliases, merge
// keys, a second document, another YAML version, keys that are no plain texts, duplicate keys, and nesting without end.
// Tags and scalars stay as written; what they mean is the schema's business.

import CVarveYAML

/// A node and where it stands; lines count from 1.
struct YAMLNode: Sendable {
    enum Content: Sendable {
        /// `plain` tells `5` from `"5"`.
        case scalar(String, plain: Bool)
        case mapping([Entry])
        case sequence
    }

    struct Entry: Sendable {
        var key: String
        var line: Int
        var value: YAMLNode
    }

    var content: Content
    /// As written and resolved (`!Env`); nil when there is none.
    var tag: String?
    var line: Int
}

struct YAMLFault: Error {
    var line: Int
    var message: String
}

enum YAMLDocument {
    private static let depthMax = 32

    /// The document's root; nil when the file holds none.
    static func parse(_ bytes: [UInt8]) throws(YAMLFault) -> YAMLNode? {
        let text = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes[3...] : bytes[...]
        if let zero = text.firstIndex(of: 0) {
            throw YAMLFault(line: lineNumber(at: zero, in: text), message: "the file holds a NUL byte; it is no text")
        }
        let result: Result<YAMLNode?, YAMLFault> = text.withUnsafeBufferPointer { buffer in
            Result { () throws(YAMLFault) in
                var events = try EventReader(buffer)
                defer { events.close() }
                return try events.document()
            }
        }
        return try result.get()
    }

    private static func lineNumber(at index: Int, in bytes: ArraySlice<UInt8>) -> Int {
        bytes[..<index].count { $0 == 0x0a } + 1
    }

    /// Owns a parser of libyaml, which must not move; it reads from `bytes`, which the caller keeps alive.
    private struct EventReader {
        private let parser: UnsafeMutablePointer<yaml_parser_t>
        private let bytes: UnsafeBufferPointer<UInt8>

        init(_ bytes: UnsafeBufferPointer<UInt8>) throws(YAMLFault) {
            parser = .allocate(capacity: 1)
            self.bytes = bytes
            guard yaml_parser_initialize(parser) == 1 else {
                parser.deallocate()
                throw YAMLFault(line: 1, message: "no memory to read the file")
            }
            // Without this, two zero bytes at the right place would make it UTF-16.
            yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
            yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
        }

        mutating func close() {
            yaml_parser_delete(parser)
            parser.deallocate()
        }

        mutating func document() throws(YAMLFault) -> YAMLNode? {
            var root: YAMLNode?
            var documents = 0
            while true {
                let event = try next()
                switch event.kind {
                case .documentStart:
                    documents += 1
                    guard documents == 1 else {
                        throw YAMLFault(line: event.line, message: "a second document; the file holds one")
                    }
                    root = try node(try next(), depth: 0)
                case .streamEnd: return root
                default: break
                }
            }
        }

        private mutating func node(_ event: Event, depth: Int) throws(YAMLFault) -> YAMLNode {
            guard depth <= YAMLDocument.depthMax else {
                throw YAMLFault(line: event.line, message: "nested more than \(YAMLDocument.depthMax) levels deep")
            }
            switch event.kind {
            case .scalar(let text, let plain):
                return YAMLNode(content: .scalar(text, plain: plain), tag: event.tag, line: event.line)
            case .sequenceStart:
                while true {
                    let item = try next()
                    if case .end = item.kind { break }
                    _ = try node(item, depth: depth + 1)
                }
                return YAMLNode(content: .sequence, tag: event.tag, line: event.line)
            case .mappingStart:
                var entries: [YAMLNode.Entry] = []
                while true {
                    let key = try next()
                    if case .end = key.kind { break }
                    guard case .scalar(let name, let plain) = key.kind, key.tag == nil else {
                        throw YAMLFault(line: key.line, message: "a key is a plain text, without a tag")
                    }
                    if plain && name == "<<" {
                        throw YAMLFault(line: key.line, message: "merge keys (<<) are not supported")
                    }
                    if let first = entries.first(where: { $0.key == name }) {
                        throw YAMLFault(
                            line: key.line,
                            message: "the key \(quoted(name)) is here twice, first in line \(first.line)")
                    }
                    let value = try node(try next(), depth: depth + 1)
                    entries.append(YAMLNode.Entry(key: name, line: key.line, value: value))
                }
                return YAMLNode(content: .mapping(entries), tag: event.tag, line: event.line)
            default: throw YAMLFault(line: event.line, message: "not a configuration")
            }
        }

        private struct Event {
            enum Kind {
                case documentStart, streamEnd, other, sequenceStart, mappingStart, end
                case scalar(String, plain: Bool)
            }
            var kind: Kind
            var tag: String?
            var line: Int
        }

        private mutating func next() throws(YAMLFault) -> Event {
            var event = yaml_event_t()
            guard yaml_parser_parse(parser, &event) == 1 else { throw fault() }
            defer { yaml_event_delete(&event) }
            let line = Int(event.start_mark.line) + 1
            switch event.type {
            case YAML_DOCUMENT_START_EVENT:
                if let version = event.data.document_start.version_directive?.pointee,
                    version.major != 1 || version.minor != 2
                {
                    throw YAMLFault(
                        line: line, message: "YAML \(version.major).\(version.minor); the file is YAML 1.2")
                }
                return Event(kind: .documentStart, line: line)
            case YAML_STREAM_END_EVENT: return Event(kind: .streamEnd, line: line)
            case YAML_ALIAS_EVENT: throw YAMLFault(line: line, message: "aliases (*name) are not supported")
            case YAML_SCALAR_EVENT:
                let scalar = event.data.scalar
                try refuse(anchor: scalar.anchor, line)
                let text = String(
                    decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
                let plain = scalar.style == YAML_PLAIN_SCALAR_STYLE
                return Event(kind: .scalar(text, plain: plain), tag: tag(scalar.tag), line: line)
            case YAML_SEQUENCE_START_EVENT:
                try refuse(anchor: event.data.sequence_start.anchor, line)
                return Event(kind: .sequenceStart, tag: tag(event.data.sequence_start.tag), line: line)
            case YAML_MAPPING_START_EVENT:
                try refuse(anchor: event.data.mapping_start.anchor, line)
                return Event(kind: .mappingStart, tag: tag(event.data.mapping_start.tag), line: line)
            case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return Event(kind: .end, line: line)
            default: return Event(kind: .other, line: line)
            }
        }

        private func refuse(anchor: UnsafeMutablePointer<yaml_char_t>?, _ line: Int) throws(YAMLFault) {
            if anchor != nil { throw YAMLFault(line: line, message: "anchors (&name) are not supported") }
        }

        private func tag(_ name: UnsafeMutablePointer<yaml_char_t>?) -> String? {
            name.map { String(cString: $0) }
        }

        private func fault() -> YAMLFault {
            let state = parser.pointee
            let problem = state.problem.map { String(cString: $0) } ?? "not YAML"
            if state.error == YAML_READER_ERROR {
                let before = bytes.prefix(Int(state.problem_offset)).count { $0 == 0x0a }
                return YAMLFault(line: before + 1, message: "not UTF-8 text: \(problem)")
            }
            let context = state.context.map { " \(String(cString: $0))" } ?? ""
            // At the end of the file libyaml stands on a line behind the last one.
            let lines = bytes.dropLast().count { $0 == 0x0a } + 1
            let line = min(Int(state.problem_mark.line) + 1, lines)
            return YAMLFault(line: line, message: "not YAML: \(problem)\(context)")
        }
    }
}

/// A name from the file within a message: no line break and no endless text gets into an error.
func quoted(_ name: String) -> String {
    var text = ""
    for scalar in name.unicodeScalars.prefix(80) {
        text += scalar.value < 0x20 || scalar.value == 0x7f ? scalar.escaped(asASCII: true) : String(scalar)
    }
    return name.unicodeScalars.count > 80 ? "'\(text)…'" : "'\(text)'"
}
