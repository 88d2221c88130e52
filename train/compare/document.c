/* HTML and Markdown; see document.h. */
#include "train/compare/document.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

enum { LONGEST = 4096 };

static bool is_html(const struct document *document)
{
    return document->syntax == DOCUMENT_HTML;
}

/* One of both. */
static void put(const struct document *document, const char *as_html, const char *as_markdown)
{
    fputs(is_html(document) ? as_html : as_markdown, document->file);
}

void document_html(const struct document *document, const char *html)
{
    put(document, html, "");
}

/* NULL: stands for itself. */
static const char *escaped(const struct document *document, char c)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return is_html(document) ? "&quot;" : NULL;
    case '|':
        return is_html(document) ? NULL : "\\|";
    case '*':
        return is_html(document) ? NULL : "\\*";
    case '`':
        return is_html(document) ? NULL : "\\`";
    case '\\':
        return is_html(document) ? NULL : "\\\\";
    case '[':
        return is_html(document) ? NULL : "\\[";
    case ']':
        return is_html(document) ? NULL : "\\]";
    default:
        return iscntrl((unsigned char)c) ? " " : NULL;
    }
}

void document_text(const struct document *document, const char *text)
{
    for (; *text; text++) {
        const char *instead = escaped(document, *text);
        if (instead)
            fputs(instead, document->file);
        else
            putc(*text, document->file);
    }
}

static void put_formatted(const struct document *document, const char *format, va_list arguments)
{
    char text[LONGEST];
    vsnprintf(text, sizeof text, format, arguments);
    document_text(document, text);
}

#define PUT_FORMATTED(document, format)                                                                    \
    do {                                                                                                   \
        va_list arguments;                                                                                 \
        va_start(arguments, format);                                                                       \
        put_formatted(document, format, arguments);                                                        \
        va_end(arguments);                                                                                 \
    } while (0)

/* <name class="class"> */
static void put_tag(const struct document *document, const char *name, const char *class)
{
    if (!is_html(document))
        return;
    fprintf(document->file, "<%s", name);
    if (class)
        fprintf(document->file, " class=\"%s\"", class);
    putc('>', document->file);
}

void document_heading(const struct document *document, int level, const char *format, ...)
{
    if (is_html(document))
        fprintf(document->file, "<h%d>", level);
    else
        fprintf(document->file, "%.*s ", level, "######");
    PUT_FORMATTED(document, format);
    if (is_html(document))
        fprintf(document->file, "</h%d>\n", level);
    else
        fputs("\n\n", document->file);
}

void document_paragraph(const struct document *document, const char *class, const char *format, ...)
{
    put_tag(document, "p", class);
    PUT_FORMATTED(document, format);
    put(document, "</p>\n", "\n\n");
}

void document_begin_list(const struct document *document)
{
    put(document, "<ul>\n", "");
}

void document_item(const struct document *document, const char *format, ...)
{
    put(document, "<li>", "* ");
    PUT_FORMATTED(document, format);
    put(document, "</li>\n", "\n");
}

void document_end_list(const struct document *document)
{
    put(document, "</ul>\n", "\n");
}

void document_begin_facts(const struct document *document)
{
    put(document, "<dl>\n", "");
}

void document_fact(const struct document *document, const char *name, const char *format, ...)
{
    put(document, "<dt>", "* *");
    document_text(document, name);
    put(document, "</dt><dd>", "*: ");
    PUT_FORMATTED(document, format);
    put(document, "</dd>\n", "\n");
}

void document_end_facts(const struct document *document)
{
    put(document, "</dl>\n", "\n");
}

void document_begin_table(const struct document *document, const char *const *titles, int count)
{
    put(document, "<div class=\"wide\"><table><thead><tr>", "|");
    for (int i = 0; i < count; i++) {
        put(document, "<th>", " ");
        document_text(document, titles[i]);
        put(document, "</th>", " |");
    }
    put(document, "</tr></thead><tbody>\n", "\n|");
    for (int i = 0; i < count; i++)
        put(document, "", "---|");
    put(document, "", "\n");
}

void document_begin_row(const struct document *document, const char *class)
{
    put_tag(document, "tr", class);
    put(document, "", "|");
}

void document_cell(const struct document *document, const char *class, const char *format, ...)
{
    put_tag(document, "td", class);
    put(document, "", " ");
    PUT_FORMATTED(document, format);
    put(document, "</td>", " |");
}

void document_code_cell(const struct document *document, const char *text)
{
    put(document, "<td class=\"spec\">", " `");
    if (is_html(document))
        document_text(document, text);
    else
        for (; *text; text++)
            putc(strchr("|`", *text) || iscntrl((unsigned char)*text) ? ' ' : *text, document->file);
    put(document, "</td>", "` |");
}

void document_end_row(const struct document *document)
{
    put(document, "</tr>\n", "\n");
}

void document_end_table(const struct document *document)
{
    put(document, "</tbody></table></div>\n", "\n");
}
