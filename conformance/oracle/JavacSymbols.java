// The reference for the extractor: the declarations that javac's own parser sees.
//
//   java --add-exports jdk.compiler/com.sun.tools.javac.code=ALL-UNNAMED \
//        --add-exports jdk.compiler/com.sun.tools.javac.parser=ALL-UNNAMED \
//        --add-exports jdk.compiler/com.sun.tools.javac.tree=ALL-UNNAMED \
//        --add-exports jdk.compiler/com.sun.tools.javac.util=ALL-UNNAMED \
//        JavacSymbols.java DIR
//
// Prints one line for each declaration in the .java files below DIR, in byte order:
//
//   path TAB line TAB column TAB kind TAB name TAB container
//
// Paths are relative to DIR. Lines and columns are 1-based and those of the name; columns count UTF-16 units,
// not what a tab expands to. Line ends are \n, \r\n and \r. A leading byte order mark is not counted. The
// container is the package and the enclosing types, joined with dots; a module has none.
//
// Files that javac cannot parse are listed on the standard error stream as "PARSE-ERROR path". What javac saw
// in them is printed all the same. Needs JDK 17 or later; the syntax accepted is that of the JDK it runs on.

import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.util.JavacTask;
import com.sun.tools.javac.code.Flags;
import com.sun.tools.javac.parser.Scanner;
import com.sun.tools.javac.parser.ScannerFactory;
import com.sun.tools.javac.parser.Tokens.Token;
import com.sun.tools.javac.parser.Tokens.TokenKind;
import com.sun.tools.javac.tree.JCTree;
import com.sun.tools.javac.tree.JCTree.JCClassDecl;
import com.sun.tools.javac.tree.JCTree.JCCompilationUnit;
import com.sun.tools.javac.tree.JCTree.JCMethodDecl;
import com.sun.tools.javac.tree.JCTree.JCModuleDecl;
import com.sun.tools.javac.tree.JCTree.JCVariableDecl;
import com.sun.tools.javac.tree.TreeInfo;
import com.sun.tools.javac.util.Context;
import com.sun.tools.javac.util.Log;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticListener;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

public final class JavacSymbols {
    /** So many trees are in memory at once. */
    private static final int BATCH = 100;

    /** Marks the class that newer compilers wrap around members without one; 0 before there were any. */
    private static final long IMPLICIT_CLASS = flag("IMPLICIT_CLASS", "UNNAMED_CLASS");

    public static void main(String[] args) throws Exception {
        Path root = Path.of(args[0]).toRealPath();
        List<Path> paths;
        try (Stream<Path> walk = Files.walk(root)) {
            paths = walk.filter(path -> path.toString().endsWith(".java") && Files.isRegularFile(path)).toList();
        }
        List<byte[]> lines = new ArrayList<>();
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        try (StandardJavaFileManager manager = compiler.getStandardFileManager(null, null, null)) {
            for (int from = 0; from < paths.size(); from += BATCH) {
                List<Source> batch = new ArrayList<>();
                for (Path path : paths.subList(from, Math.min(from + BATCH, paths.size()))) {
                    batch.add(new Source(root, path));
                }
                parse(compiler, manager, batch, lines);
            }
        }
        byte[][] sorted = lines.toArray(byte[][]::new);
        Arrays.sort(sorted, Arrays::compareUnsigned);
        try (OutputStream out = new BufferedOutputStream(System.out, 1 << 16)) {
            for (byte[] line : sorted) {
                out.write(line);
                out.write('\n');
            }
        }
    }

    private static void parse(
            JavaCompiler compiler, StandardJavaFileManager manager, List<Source> batch, List<byte[]> lines)
            throws IOException {
        Set<URI> broken = new HashSet<>();
        DiagnosticListener<JavaFileObject> listener = diagnostic -> {
            if (diagnostic.getKind() == Diagnostic.Kind.ERROR) {
                broken.add(diagnostic.getSource().toUri());
            }
        };
        List<String> options = List.of("-proc:none", "-Xlint:none", "-XDrawDiagnostics");
        JavacTask task = (JavacTask) compiler.getTask(null, manager, listener, options, null, batch);
        Map<URI, Source> sources = new HashMap<>();
        for (Source source : batch) {
            sources.put(source.toUri(), source);
        }
        for (CompilationUnitTree unit : task.parse()) {
            Source source = sources.get(unit.getSourceFile().toUri());
            new Printer(source, lines).unit((JCCompilationUnit) unit);
        }
        for (Source source : batch) {
            if (broken.contains(source.toUri())) {
                System.err.println("PARSE-ERROR " + source.path);
            }
        }
    }

    private static long flag(String... names) {
        for (String name : names) {
            try {
                return Flags.class.getField(name).getLong(null);
            } catch (NoSuchFieldException e) {
                // This compiler calls it differently or has none.
            } catch (IllegalAccessException e) {
                throw new IllegalStateException(e);
            }
        }
        return 0;
    }

    /** A file in memory. Bytes that are not UTF-8 become U+FFFD, as in the extractor. */
    private static final class Source extends SimpleJavaFileObject {
        final String path;
        final String text;

        Source(Path root, Path file) throws IOException {
            super(file.toUri(), Kind.SOURCE);
            path = root.relativize(file).toString();
            String decoded = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
            text = decoded.startsWith("\uFEFF") ? decoded.substring(1) : decoded;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }

        @Override
        public boolean isNameCompatible(String simpleName, Kind kind) {
            return true;
        }
    }

    /** Prints the declarations of one file. */
    private static final class Printer {
        private final Source source;
        private final List<byte[]> lines;
        private final int[] lineStarts;
        private List<Token> tokens;

        Printer(Source source, List<byte[]> lines) {
            this.source = source;
            this.lines = lines;
            lineStarts = lineStarts(source.text);
        }

        void unit(JCCompilationUnit unit) {
            String packageName = unit.getPackageName() == null ? "" : unit.getPackageName().toString();
            for (JCTree tree : unit.defs) {
                if (tree instanceof JCModuleDecl) {
                    JCTree name = ((JCModuleDecl) tree).qualId;
                    print(TreeInfo.getStartPos(name), "module", name.toString(), "");
                } else {
                    member(tree, packageName, null);
                }
            }
        }

        private void member(JCTree tree, String container, JCClassDecl owner) {
            if (tree instanceof JCClassDecl) {
                type((JCClassDecl) tree, container);
            } else if (tree instanceof JCMethodDecl) {
                method((JCMethodDecl) tree, container, owner);
            } else if (tree instanceof JCVariableDecl) {
                variable((JCVariableDecl) tree, container);
            }
        }

        private void type(JCClassDecl type, String container) {
            String inner = container;
            if (IMPLICIT_CLASS == 0 || (type.mods.flags & IMPLICIT_CLASS) == 0) {
                String name = type.name.toString();
                print(identifierAfter(type.pos, name), kind(type), name, container);
                inner = container.isEmpty() ? name : container + "." + name;
            }
            for (JCTree member : type.defs) {
                member(member, inner, type);
            }
        }

        private void method(JCMethodDecl method, String container, JCClassDecl owner) {
            if ((method.mods.flags & Flags.GENERATEDCONSTR) != 0) {
                return;
            }
            if (method.name.contentEquals("<init>")) {
                print(method.pos, "constructor", owner.name.toString(), container);
            } else {
                boolean isElement = owner != null && (owner.mods.flags & Flags.ANNOTATION) != 0;
                print(method.pos, isElement ? "element" : "method", method.name.toString(), container);
            }
        }

        private void variable(JCVariableDecl variable, String container) {
            long flags = variable.mods.flags;
            String name = variable.name.toString();
            if ((flags & Flags.ENUM) != 0) {
                // The tree begins at the annotations of the constant, its type at the name.
                print(TreeInfo.getStartPos(variable.vartype), "constant", name, container);
            } else {
                boolean isComponent = (flags & (Flags.RECORD | Flags.GENERATED_MEMBER)) != 0;
                print(variable.pos, isComponent ? "component" : "field", name, container);
            }
        }

        private static String kind(JCClassDecl type) {
            long flags = type.mods.flags;
            if ((flags & Flags.ANNOTATION) != 0) {
                return "annotation";
            } else if ((flags & Flags.INTERFACE) != 0) {
                return "interface";
            } else if ((flags & Flags.ENUM) != 0) {
                return "enum";
            }
            return (flags & Flags.RECORD) != 0 ? "record" : "class";
        }

        /** Where {@code name} is next: trees of types only say where the keyword is. */
        private int identifierAfter(int keyword, String name) {
            if (tokens == null) {
                tokens = tokens(source);
            }
            for (int at = indexOf(keyword) + 1; at < tokens.size(); at++) {
                Token token = tokens.get(at);
                if (token.kind == TokenKind.IDENTIFIER && token.name().contentEquals(name)) {
                    return token.pos;
                }
            }
            return keyword;
        }

        private int indexOf(int position) {
            int low = 0;
            int high = tokens.size();
            while (low < high) {
                int middle = (low + high) >>> 1;
                if (tokens.get(middle).pos < position) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            return low;
        }

        private static List<Token> tokens(Source source) {
            Context context = new Context();
            // Errors have been reported while parsing; the second time they are noise.
            context.put(DiagnosticListener.class, (DiagnosticListener<JavaFileObject>) diagnostic -> { });
            Log.instance(context).useSource(source);
            Scanner scanner = ScannerFactory.instance(context).newScanner(source.text, false);
            List<Token> tokens = new ArrayList<>();
            do {
                scanner.nextToken();
                tokens.add(scanner.token());
            } while (scanner.token().kind != TokenKind.EOF);
            return tokens;
        }

        private void print(int position, String kind, String name, String container) {
            int found = Arrays.binarySearch(lineStarts, position);
            int line = found >= 0 ? found : -found - 2;
            int column = position - lineStarts[line] + 1;
            String text = String.join(
                    "\t", source.path, String.valueOf(line + 1), String.valueOf(column), kind, name, container);
            lines.add(text.getBytes(StandardCharsets.UTF_8));
        }

        private static int[] lineStarts(String text) {
            List<Integer> starts = new ArrayList<>(List.of(0));
            for (int at = 0; at < text.length(); at++) {
                char unit = text.charAt(at);
                boolean isPair = unit == '\r' && at + 1 < text.length() && text.charAt(at + 1) == '\n';
                if (unit == '\n' || unit == '\r' && !isPair) {
                    starts.add(at + 1);
                }
            }
            return starts.stream().mapToInt(Integer::intValue).toArray();
        }
    }
}
