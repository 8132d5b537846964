"""What of well-known toolkits and clients can't be pickled, as a table.

The rows were checked by pickling the things with ``multiprocessing.reduction.ForkingPickler`` and
with ``dill`` under CPython 3.11; those of PyQt6, PySide2 and most widgets of tkinter are taken over
from their likes. What is not in it is unknown; plain values (``QColor``, ``QPoint``,
``pygame.Rect``) and ``serial.Serial`` do cross.
"""

from __future__ import annotations

_TKINTER = (
    "Tk Tcl Toplevel Frame LabelFrame Label Button Checkbutton Radiobutton Entry Text Canvas "
    "Listbox Scale Scrollbar Spinbox Menu Menubutton Message PanedWindow PhotoImage BitmapImage "
    "Variable StringVar IntVar DoubleVar BooleanVar"
)
_TTK = (
    "Frame LabelFrame Label Button Checkbutton Radiobutton Entry Combobox Notebook PanedWindow "
    "Progressbar Scale Scrollbar Separator Sizegrip Spinbox Treeview Style"
)
_QT = ("PyQt5", "PyQt6", "PySide2", "PySide6")
_QT_OBJECTS = {
    "QtCore": (
        "QObject QCoreApplication QThread QThreadPool QRunnable QTimer QMutex QWaitCondition "
        "QSemaphore QEventLoop QProcess QSettings QFileSystemWatcher QElapsedTimer"
    ),
    "QtGui": "QGuiApplication QImage QPixmap QIcon QFont",
    "QtWidgets": (
        "QApplication QWidget QMainWindow QDialog QFrame QLabel QPushButton QToolButton QCheckBox "
        "QRadioButton QLineEdit QTextEdit QPlainTextEdit QComboBox QSpinBox QDoubleSpinBox QSlider "
        "QProgressBar QProgressDialog QListWidget QTableWidget QTreeWidget QTabWidget QGroupBox "
        "QStackedWidget QSplitter QScrollArea QMessageBox QFileDialog QSystemTrayIcon QAction "
        "QGraphicsView QGraphicsScene QOpenGLWidget"
    ),
}


def _of(modules: tuple[str, ...], names: str) -> str:
    return " ".join(f"{module}.{name}" for module in modules for name in names.split())


BY_PICKLE_ONLY = (
    ("a MongoDB client", "pymongo.MongoClient pymongo.mongo_client.MongoClient"),
    (
        "a redis client",
        _of(("redis", "redis.client"), "Redis StrictRedis Redis.from_url StrictRedis.from_url")
        + " redis.from_url redis.ConnectionPool",
    ),
    ("an SQLAlchemy session", "sqlalchemy.orm.Session sqlalchemy.orm.session.Session"),
)
"""What it is called, and the names that give it, as in :mod:`.picklable`."""

BY_DILL_TOO = (
    ("a tkinter object", f"{_of(('tkinter',), _TKINTER)} {_of(('tkinter.ttk',), _TTK)}"),
    (
        "a Qt object",
        " ".join(
            _of(tuple(f"{binding}.{module}" for binding in _QT), names)
            for module, names in _QT_OBJECTS.items()
        ),
    ),
    (
        "",
        "cv2.VideoCapture cv2.VideoWriter cv2.BackgroundSubtractorMOG2 "
        "cv2.createBackgroundSubtractorMOG2 cv2.createCLAHE cv2.SIFT_create cv2.ORB_create "
        "cv2.BFMatcher cv2.QRCodeDetector pygame.Surface pygame.display.set_mode "
        "pygame.time.Clock pygame.font.Font pygame.mixer.Sound",
    ),
    ("a boto3 client", "boto3.client boto3.resource"),
    (
        "a Qt signal",
        "PyQt5.QtCore.pyqtSignal PyQt6.QtCore.pyqtSignal PySide2.QtCore.Signal "
        "PySide6.QtCore.Signal",
    ),
    ("an SQLAlchemy engine", "sqlalchemy.create_engine sqlalchemy.engine.create_engine"),
)

NAMES = frozenset(
    name for rows in (BY_PICKLE_ONLY, BY_DILL_TOO) for _, names in rows for name in names.split()
)
